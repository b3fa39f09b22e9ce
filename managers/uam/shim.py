"""Stands between the node agent and one application, so that each may end without the other.

Run as `python -I -S shim.py STATE -- COMMAND...`; needs nothing but the standard library. It leaves its parent at once
(Ray ends the children of a worker with it), starts the command in a session of its own, and writes to the file STATE:

    running BOOT SHIM STARTED PID STARTED      before the command begins, so that no process is without a record
    failed TIME ERRNO                          it could not begin
    exited TIME CODE                           it ended; -9 for signal 9

While it lives it holds a lock on STATE.lock: a second start of the same instance ends with code 3 and starts nothing.
"""

import fcntl
import os
import sys
import time

TAKEN = 3


def started(pid: int) -> int:
    """When a process began, in ticks since the boot; with pid and boot that names it for good. 0: there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def boot() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def note(path: str, text: str) -> None:
    """Replace the record, durably."""
    with open(path + ".new", "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def main() -> None:
    path, command = sys.argv[1], sys.argv[3:]
    lock = os.open(path + ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os._exit(TAKEN)
    settled, tell = os.pipe()
    if os.fork():
        os.close(tell)
        os.read(settled, 1)
        os._exit(0)
    os.setsid()
    ready, go = os.pipe()
    problem, complain = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        os.setsid()
        if not os.read(ready, 1):
            os._exit(127)  # it could not be recorded, so it must not begin
        try:
            os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
        except OSError as error:
            os.write(complain, str(error.errno).encode())
        os._exit(127)
    os.close(complain)
    me = os.getpid()
    note(path, f"running {boot()} {me} {started(me)} {pid} {started(pid)}")
    os.write(go, b"!")
    errno = os.read(problem, 16)
    if errno:
        os.waitpid(pid, 0)
        note(path, f"failed {time.time():.3f} {errno.decode()}")
        os._exit(0)
    os.close(tell)
    _, status = os.waitpid(pid, 0)
    note(path, f"exited {time.time():.3f} {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
