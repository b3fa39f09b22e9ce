"""One instance of an application on this node: a folder with what was ordered, what the shim recorded, and its output.

The folder is all there is to know, so an agent that was restarted goes on where the one before stopped.
"""

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from federation.errors import Refused
from managers.uam import shim
from managers.uam.apps import FROM_ENVIRONMENT, Launch

PASSED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
"""What an application gets of the agent's environment without asking; the rest holds our own secrets."""
LOG_SIZE = 10 << 20  # bytes of output after which a log is rotated
LOGS_KEPT = 3
START_PATIENCE = 20.0  # seconds that a start may take until the process is recorded; it takes about 0.05


class Ordered(msgspec.Struct, frozen=True):
    """What was ordered last. decision: the effect that started it."""

    decision: str
    app: str
    instance: int
    digest: str
    launch: dict[str, object]


class Record(NamedTuple):
    """What the shim wrote: running, exited or failed. Starts in ticks since the boot, `at` in seconds since 1970."""

    status: str
    boot: str = ""
    shim: int = 0
    shim_started: int = 0
    pid: int = 0
    started: int = 0
    at: float = 0.0
    code: int | None = None
    errno: int = 0

    @property
    def alive(self) -> bool:
        return self.status == "running" and self.boot == shim.boot() and shim.started(self.pid) == self.started


class Instance:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.ordered: Ordered | None = None
        if (folder / "ordered.json").exists():
            self.ordered = msgspec.json.decode((folder / "ordered.json").read_bytes(), type=Ordered)

    @property
    def launch(self) -> Launch:
        assert self.ordered is not None
        return Launch.model_validate(self.ordered.launch)

    @property
    def ordered_at(self) -> float:
        """When it was ordered, in seconds since 1970: just before it began."""
        return (self.folder / "ordered.json").stat().st_mtime

    def record(self) -> Record | None:
        """None: nothing was ordered, or it was interrupted before anything began."""
        try:
            words = self.state.read_text().split()
        except FileNotFoundError:
            return None
        match words:
            case ["running", boot, *numbers]:
                return Record("running", boot, *map(int, numbers))
            case ["exited", at, code]:
                return Record("exited", at=float(at), code=None if code == "unknown" else int(code))
            case ["failed", at, number]:
                return Record("failed", at=float(at), code=127, errno=int(number))
        return None

    def start(self, ordered: Ordered) -> None:
        """Start it; returns when the process is recorded. Raises Refused, with the reason, when it cannot begin."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.state.unlink(missing_ok=True)
        shim.note(str(self.folder / "ordered.json"), msgspec.json.encode(ordered).decode())
        self.ordered = ordered
        launch = self.launch
        try:
            environment = _environment(launch, os.environ)
        except Refused:
            shim.note(str(self.state), f"failed {time.time():.3f} {errno.ENOENT}")
            raise
        self.rotate()
        with (self.folder / "out.log").open("ab") as out, (self.folder / "err.log").open("ab") as err:
            ended = subprocess.run(
                [sys.executable, "-I", "-S", shim.__file__, str(self.state), "--", *launch.command],
                cwd=launch.cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                umask=0o022,
                timeout=START_PATIENCE,
                check=False,
            )
        record = self.record()
        if ended.returncode == shim.TAKEN:
            raise Refused("running", "it still runs", cure="stop it first")
        if record is None:
            raise Refused(
                "not-recorded", f"it could not be recorded; see {self.folder / 'err.log'}", cure="free some disk"
            )
        if record.status == "failed":
            why = os.strerror(record.errno)
            raise Refused("no-command", f"`{launch.command[0]}`: {why}", cure="correct `command` in apps.yaml")

    async def stop(self) -> None:
        """End it: its stop signal, then by force after its grace; returns when nothing of it runs."""
        record = self.record()
        if record is None or not record.alive:
            return
        how = self.launch.stop
        _signal(record, signal.Signals[f"SIG{how.signal}"])
        try:
            await asyncio.wait_for(gone(record.pid, record.started), how.grace)
        except TimeoutError:
            _signal(record, signal.SIGKILL)
            await gone(record.pid, record.started)
        await self.ended()

    async def ended(self) -> None:
        """Returns when it has ended, is recorded, and nothing of its session is left."""
        record = self.record()
        if record is None or record.status != "running":
            return
        seen_alive = record.alive
        if record.boot == shim.boot():
            await gone(record.shim, record.shim_started)
            await gone(record.pid, record.started)
        if seen_alive:  # else its session's number may be another's by now
            for pid in [pid for pid, usage in sessions().items() if usage.session == record.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        now = self.record()
        if now is not None and now.status == "running":  # the shim was killed: how it ended nobody knows
            shim.note(str(self.state), f"exited {time.time():.3f} unknown")

    def forget(self) -> None:
        """It was stopped on order: only its output stays."""
        self.ordered = None
        for name in ("ordered.json", "state"):
            (self.folder / name).unlink(missing_ok=True)

    def rotate(self) -> None:
        """Keep the logs of a running process small. What is written while one is copied may be lost."""
        for name in ("out.log", "err.log"):
            self._rotate(self.folder / name)

    def _rotate(self, log: Path) -> None:
        if not log.exists() or log.stat().st_size < LOG_SIZE:
            return
        for number in range(LOGS_KEPT - 1, 0, -1):
            older = log.with_name(f"{log.name}.{number}")
            if older.exists():
                older.replace(log.with_name(f"{log.name}.{number + 1}"))
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)


async def gone(pid: int, started: int) -> None:
    """Returns when this process has ended, at once, whoever its parent is (pidfd_open(2))."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if shim.started(pid) != started:
            return
        loop = asyncio.get_running_loop()
        end: asyncio.Future[None] = loop.create_future()
        loop.add_reader(watched, _settle, end)
        try:
            await end
        finally:
            loop.remove_reader(watched)
    finally:
        os.close(watched)


def _settle(end: "asyncio.Future[None]") -> None:
    if not end.done():
        end.set_result(None)


class Usage(NamedTuple):
    """session: its leader's pid. cpu: seconds of CPU time. memory: resident bytes."""

    session: int
    cpu: float
    memory: int


def sessions() -> dict[int, Usage]:
    """Every process of this machine, read once: asking for children would read them all for each application."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            ticks = int(fields[11]) + int(fields[12])
            found[int(name)] = Usage(int(fields[3]), ticks / _TICKS, int(fields[21]) * _PAGE)
    return found


def uptime(started: int) -> float:
    """Seconds since a process began that started so many ticks after the boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / _TICKS


_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _environment(launch: Launch, ours: Mapping[str, str]) -> dict[str, str]:
    """What it starts with. Raises Refused when something that it wants of this node is not there."""
    if launch.cwd is not None and not launch.cwd.is_dir():
        raise Refused("no-folder", f"there is no folder `{launch.cwd}`", cure="correct `cwd` in apps.yaml")
    environment = {name: ours[name] for name in PASSED if name in ours}
    for name, value in launch.env.items():
        wanted = value.removeprefix(FROM_ENVIRONMENT)
        if wanted != value and wanted not in ours:
            raise Refused(
                "no-variable", f"`{wanted}` is not set on this node", cure=f"set it before `elias up`, for `{name}`"
            )
        environment[name] = value if wanted == value else ours[wanted]
    return environment


def _signal(record: Record, number: signal.Signals) -> None:
    if record.alive:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(record.pid, number)
