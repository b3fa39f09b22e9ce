"""The fork server: a process that has read the code of the actors once, and of which each of them is a copy.

A worker of Ray that begins as a fresh interpreter takes 1.2 s of CPU to import Ray and ours, and 60 MB that are the
same in all of them. `federation/runtime/worker.py`, which Ray starts in place of its own worker, asks here for a copy
instead; where nothing answers, or the worker shall see other packages, it becomes the worker itself.

One thread serves, and it starts nothing of Ray, for a copy has the thread alone that made it. The server lives as long
as the process that started it; the kernel sees to that.
"""

import ctypes
import gc
import importlib
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from federation.runtime import worker
from federation.runtime.worker import STREAMS

_OURS = ("agent", "appender", "gate", "manager", "policy", "root")  # modules of this package that are actors
FIRST_JOB = "01000000"  # what Ray calls the driver that connects first: `elias up`, whose actors ours are
LARGEST = 4 << 20  # bytes of a wish; Linux gives a program at most 6 MB of words and environment
PATIENCE = 5.0  # seconds for one to come whole; meanwhile nobody else is served
_PR_SET_PDEATHSIG = 1


class Wish(msgspec.Struct, frozen=True):
    """Of a worker that is to begin. path: of its interpreter, where modules are looked for, its own folder aside."""

    argv: list[str]
    environment: dict[str, str]
    folder: str
    executable: str
    path: list[str]


@contextmanager
def beside(folder: Path, roster: str) -> Iterator[Callable[[int], None]]:
    """Within, Ray is started that has its files in this folder; the function that this gives is told the pid of its
    raylet, and starts a fork server for its workers. roster: import path of those who take part. Who asks too early
    waits."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / worker.SOCKET))
        listener.listen(64)

        def start(raylet: int) -> None:
            number = listener.fileno()
            command = [sys.executable, "-m", "federation.runtime.forkserver", str(number), str(os.getpid()), roster]
            known = {"RAY_JOB_ID": FIRST_JOB, "RAY_RAYLET_PID": str(raylet), "RAY_LD_PRELOAD_ON_WORKERS": "0"}
            subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(number,), env={**os.environ, **known})

        yield start


def serve(listener: socket.socket, path: list[str]) -> Wish:
    """Returns in each copy, with what it is to become; never in the process that calls it. path: where this process
    looks for modules."""
    while True:
        connection, _ = listener.accept()
        with connection:
            wish, streams = _received(connection)
            child = os.fork() if wish is not None and _fits(wish, path) else None
            if child == 0:
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
            for stream in streams:
                os.close(stream)
            if child:
                _answer(connection, child)
        if wish is not None and child == 0:
            listener.close()
            return wish


def become(wish: Wish) -> None:
    """The worker, until it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(wish.folder)
    os.environ.clear()
    os.environ.update(wish.environment)
    sys.argv = wish.argv
    runpy.run_path(worker.theirs(), run_name="__main__")


def preload(roster: str) -> None:
    """Import and make what the actors need, and nothing that starts a thread of its own or reads where it is."""
    from federation.runtime.roster import Roster  # noqa: PLC0415 - who starts the server can do without
    from tiki.parse import grammar  # noqa: PLC0415

    named = Roster(roster)
    targets = (*named.managers.values(), *named.services.values(), *named.doers.values())
    for module in (
        *(f"federation.runtime.{name}" for name in _OURS),
        *(target.partition(":")[0] for target in targets),
        *named.beforehand,
    ):
        importlib.import_module(module)
    grammar()


def _received(connection: socket.socket) -> tuple[Wish | None, list[int]]:
    """With the three standard streams of who asks. None: it went away, or is no worker of this version."""
    said, streams = bytearray(), list[int]()
    connection.settimeout(PATIENCE)
    try:
        while len(said) <= LARGEST:
            part, passed, _, _ = socket.recv_fds(connection, 1 << 16, len(STREAMS))
            streams += passed
            if not part and len(streams) == len(STREAMS):
                return msgspec.json.decode(said, type=Wish), streams
            if not part:
                break
            said += part
        raise OSError("no worker says so much, or so little")
    except (OSError, msgspec.DecodeError):
        return None, streams


def _fits(wish: Wish, path: list[str]) -> bool:
    """Whether a copy is what the worker would be if it began from nothing. Ray reads its variables once, when it is
    imported."""
    return (wish.executable, wish.path, _rays(wish.environment)) == (sys.executable, path, _rays(os.environ))


def _rays(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith("RAY_")}


def _answer(connection: socket.socket, child: int) -> None:
    try:
        connection.sendall(str(child).encode())
    except OSError:
        os.kill(child, signal.SIGKILL)  # who asked is gone, and may have helped itself


def main() -> None:
    number, parent, roster = sys.argv[1:]
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        return  # it died before the kernel was told
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a copy; Ray knows when one ends
    sys.path[0] = str(Path(worker.theirs()).parent)  # as for a worker
    path = sys.path[1:]  # Ray adds to it
    preload(roster)
    gc.collect()
    gc.freeze()  # what the copies share stays where it is
    with socket.socket(fileno=int(number)) as listener:
        become(serve(listener, path))


if __name__ == "__main__":
    main()
