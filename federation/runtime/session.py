"""The processes of one Ray on this machine: found again, and ended without a trace.

Every process carries a mark in its environment or stays in one kernel session, so `end` ends exactly these, also after
whoever started them was killed, and never another Ray of the machine (which `ray stop` would).
"""

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil

from federation.errors import EliasError, Temporary
from federation.runtime.controlstore import Store

MARK = "ELIAS_SESSION"
PATIENCE = 2.0  # seconds that Ray has to end by itself
KILLED = 10.0  # seconds that the kernel has to end what was killed


class Session(msgspec.Struct, frozen=True):
    """The address file: where the cluster is, how its processes are known. started: of the leader (s since 1970).

    head: whether the control store of the cluster runs here; a node that joined has it elsewhere. store: what it keeps
    in Redis; None: nothing.
    """

    address: str
    dashboard: str
    pid: int
    started: float
    mark: str
    temp_dir: str
    head: bool = True
    store: Store | None = None

    @staticmethod
    def of(state: Path) -> "Session | None":
        """The one of this state folder, whether or not it still serves."""
        try:
            return msgspec.json.decode(_file(state).read_bytes(), type=Session)
        except (OSError, msgspec.DecodeError):
            return None

    def save(self, state: Path) -> None:
        new = _file(state).with_suffix(".new")
        new.write_bytes(msgspec.json.encode(self))
        new.replace(_file(state))

    @staticmethod
    def forget(state: Path) -> None:
        _file(state).unlink(missing_ok=True)

    def serves(self) -> bool:
        return started(self.pid) == self.started

    def processes(self) -> list[psutil.Process]:
        """Every living process of this session, whoever its parent is by now."""
        # The leader's pid names the session until its last process ends; another process under that pid: none is left.
        ours = started(self.pid) in (None, self.started)
        return [p for p in psutil.process_iter() if self._owns(p, ours)]

    def _owns(self, process: psutil.Process, session: bool) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            if process.environ().get(MARK) == self.mark:
                return True
            # Ray's agents overwrite their environment with their title.
            return session and os.getsid(process.pid) == self.pid and process.name().startswith(("ray", "python"))
        except (OSError, psutil.Error):
            return False

    def end(self, patience: float = PATIENCE) -> None:
        """Ends every process of this session: asks the leader first, kills what is left after `patience` seconds."""
        if self.serves() and patience:
            _signal(psutil.Process(self.pid), signal.SIGTERM)
            psutil.wait_procs([psutil.Process(self.pid)] if psutil.pid_exists(self.pid) else [], timeout=patience)
        deadline = time.monotonic() + KILLED
        while left := self.processes():
            if time.monotonic() > deadline:
                names = ", ".join(f"{p.pid}" for p in left)
                raise Temporary(f"processes of Ray did not end: {names}")
            for process in left:
                _signal(process, signal.SIGKILL)
            psutil.wait_procs(left, timeout=0.5)
        shutil.rmtree(self.temp_dir, ignore_errors=True)
        if self.store is not None:
            with suppress(EliasError):  # nobody reads it any more, and the next Ray clears it
                self.store.clear()


def started(pid: int) -> float | None:
    """When the process under this pid started; with the pid it names a process for good. None: there is none."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def _file(state: Path) -> Path:
    return state / "ray.json"


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
