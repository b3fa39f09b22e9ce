"""Ray on this machine as a child of ours: started once for a state directory, found again, ended without a trace.

Every process of it carries a mark in its environment or stays in one kernel session, so `down` ends exactly these, also
after whoever started them was killed, and never another Ray of the machine (which `ray stop` would).
"""

import ctypes
import fcntl
import ipaddress
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psutil
from pydantic import BaseModel, ConfigDict, Field

from federation.errors import Refused, Temporary
from federation.runtime import direct

NAMESPACE = "elias"
MARK = "ELIAS_SESSION"
_PR_SET_PDEATHSIG = 1

# A node that fell silent is dead after 2 to 3 s instead of 17; a batch of events travels with its call, not through the
# object store.
_SYSTEM_CONFIG = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
    "max_direct_call_object_size": 1 << 20,
}

# What is switched off has a counterpart of ours: metrics, task events, logs that are copied to the driver.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "false",
    "RAY_enable_open_telemetry": "false",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_BACKEND_LOG_LEVEL": "warning",
    "RAY_LOGGER_LEVEL": "warning",
    "RAY_ROTATION_MAX_BYTES": str(8 << 20),
    "RAY_ROTATION_BACKUP_COUNT": "1",
    "RAY_worker_niceness": "0",  # Ray would run the managers, and what they start, at nice 15
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # who asked for no GPU sees none
    "RAY_START_HOOK": "federation.runtime.cluster.lean",
}


class ClusterSettings(BaseModel):
    """How Ray is started on the head node."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node_ip: str = Field(
        default="127.0.0.1", description="Address of this node; a loopback address keeps other machines out."
    )
    port: int = Field(default=0, ge=0, le=65535, description="Port that nodes and drivers join at; 0: any free one.")
    dashboard_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the job interface, on loopback; 0: any free one."
    )
    num_cpus: int | None = Field(
        default=None, ge=0, description="CPUs that jobs may use; by default those of the machine."
    )
    num_gpus: int | None = Field(
        default=None, ge=0, description="GPUs that jobs may use; by default those of the machine."
    )
    object_store_memory: int = Field(
        default=100_000_000, ge=80_000_000, description="Bytes of shared memory for large objects."
    )
    start_timeout: float = Field(
        default=60.0, gt=0, description="Seconds until a start that does not serve is given up."
    )


class _Session(msgspec.Struct, frozen=True):
    """The address file: where the cluster is, how its processes are known. started: of the leader (s since 1970)."""

    address: str
    dashboard: str
    pid: int
    started: float
    mark: str
    temp_dir: str

    def serves(self) -> bool:
        return _started(self.pid) == self.started

    def processes(self) -> list[psutil.Process]:
        """Every living process of this session, whoever its parent is by now."""
        # The leader's pid names the session until its last process ends; another process under that pid: none is left.
        ours = _started(self.pid) in (None, self.started)
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

    def end(self, patience: float = 2.0) -> None:
        """Ends every process of this session: asks the leader first, kills what is left after `patience` seconds."""
        if self.serves():
            _signal(psutil.Process(self.pid), signal.SIGTERM)
            psutil.wait_procs([psutil.Process(self.pid)] if psutil.pid_exists(self.pid) else [], timeout=patience)
        deadline = time.monotonic() + 5 * patience
        while left := self.processes():
            if time.monotonic() > deadline:
                names = ", ".join(f"{p.pid}" for p in left)
                raise Temporary(f"processes of Ray did not end: {names}")
            for process in left:
                _signal(process, signal.SIGKILL)
            psutil.wait_procs(left, timeout=0.5)
        shutil.rmtree(self.temp_dir, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Ray cluster that serves. address: for `connect` and other nodes; dashboard: the URL of the job interface."""

    state_dir: Path
    address: str
    dashboard: str
    pid: int
    leader: "subprocess.Popen[bytes] | None" = field(default=None, repr=False, compare=False)

    @property
    def owner(self) -> bool:
        """Whether this process started it, so that it ends with this process."""
        return self.leader is not None

    @classmethod
    def up(cls, state_dir: Path, settings: ClusterSettings | None = None) -> "Cluster":
        """Attaches to the cluster of this state directory, or starts it; two at the same time start it once.

        Call it from the main thread of the process that shall own the cluster: Ray ends with that thread. Refused if a
        port is taken or Ray does not start.
        """
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(state_dir / "ray.lock"):
            if found := cls.attach(state_dir):
                return found
            if left := _read(state_dir):
                left.end()
            session, leader = _start(state_dir, settings or ClusterSettings())
            return cls._of(state_dir, session, leader)

    @classmethod
    def attach(cls, state_dir: Path) -> "Cluster | None":
        """The running cluster of this state directory, if there is one; the address file of a dead one counts not."""
        session = _read(state_dir)
        return cls._of(state_dir, session) if session and session.serves() else None

    @classmethod
    def _of(cls, state_dir: Path, session: _Session, leader: "subprocess.Popen[bytes] | None" = None) -> "Cluster":
        return cls(state_dir, session.address, session.dashboard, session.pid, leader)

    def alive(self) -> bool:
        session = _read(self.state_dir)
        return session is not None and session.pid == self.pid and session.serves()

    def connect(self) -> None:
        """Makes this process a driver of the cluster, in namespace `elias`. Nothing if it is one already."""
        os.environ.update(_auth(self.state_dir))
        import ray  # noqa: PLC0415  half a second that `attach` and `down` need not pay
        from ray import _raylet  # noqa: PLC0415

        if ray.is_initialized():
            if (at := ray.get_runtime_context().gcs_address) != self.address:
                cure = "ray.shutdown() first"
                raise Refused("other-cluster", f"this process is connected to {at}", place=self.address, cure=cure)
            return
        # Ray reads both once, when it is imported; it may have been, for another cluster or for none.
        _raylet.Config.initialize("")  # type: ignore[attr-defined]
        _raylet.AuthenticationTokenLoader.instance().reset_cache()  # type: ignore[attr-defined]
        # On stdout, where the answer of a command belongs, Ray would print a paragraph for every process that ends.
        ray._private.worker.listen_error_messages = lambda worker, threads_stopped: None
        ray.init(self.address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False)

    def environment(self) -> dict[str, str]:
        """What another program needs to join or ask the cluster: where its token is."""
        return _auth(self.state_dir)

    def processes(self) -> list[psutil.Process]:
        """Every living process of the cluster on this machine, for measuring."""
        session = _read(self.state_dir)
        return session.processes() if session else []

    def down(self) -> None:
        """Ends every process of the cluster on this machine and forgets it. Temporary if one cannot be ended."""
        with _locked(self.state_dir / "ray.lock"):
            session = _read(self.state_dir)
            if session is None or session.pid != self.pid:
                return
            session.end()
            if self.leader is not None:
                self.leader.wait()
            _address_file(self.state_dir).unlink(missing_ok=True)


def lean(params: Any, head: bool) -> None:
    """Ray's start hook: without what `ray start` cannot be told to leave out. That is the server for Ray Client, and of
    the dashboard all but the job interface and what tells it of the nodes: six processes of 20 MB and more.
    """
    os.environ.pop("RAY_START_HOOK", None)
    if not head:
        return
    params.ray_client_server_port = None
    from ray._private import ray_constants, services  # noqa: PLC0415  the parent of this process does without Ray

    start = services.start_ray_process

    def started(command: list[str], kind: str, *args: Any, **more: Any) -> Any:
        if kind == ray_constants.PROCESS_TYPE_DASHBOARD:
            command = [*command, "--modules-to-load=JobHead,NodeHead"]
        return start(command, kind, *args, **more)

    services.start_ray_process = started  # type: ignore[assignment]


def _start(state_dir: Path, settings: ClusterSettings) -> "tuple[_Session, subprocess.Popen[bytes]]":
    host = _node_ip(settings.node_ip)
    port = _port(host, settings.port, "ray.port")
    dashboard = _port("127.0.0.1", settings.dashboard_port, "ray.dashboard_port")
    # Ray's socket paths must stay under 107 bytes, and a state directory may lie deep.
    root = tempfile.gettempdir() if len(tempfile.gettempdir()) < 20 else "/tmp"  # noqa: S108  mkdtemp makes it private
    temp_dir = tempfile.mkdtemp(prefix="elias-", dir=root)
    logs = (state_dir / "logs").resolve()
    mark = secrets.token_hex(16)
    _make_token(state_dir)
    options = {
        "port": port,
        "node-ip-address": host,
        "dashboard-host": "127.0.0.1",
        "dashboard-port": dashboard,
        "dashboard-agent-listen-port": 0,
        "min-worker-port": 0,
        "max-worker-port": 0,
        "include-dashboard": "true",
        "include-log-monitor": "false",
        "object-store-memory": settings.object_store_memory,
        "temp-dir": temp_dir,
        "num-cpus": settings.num_cpus,
        "num-gpus": settings.num_gpus,
        "system-config": json.dumps(_SYSTEM_CONFIG),
    }
    flags = [f"--{name}={value}" for name, value in options.items() if value is not None]
    log = Path(temp_dir, "start.log")
    with log.open("wb") as out:
        leader = subprocess.Popen(
            [sys.executable, "-m", "federation.runtime.cluster", str(os.getpid()), *flags],
            env={
                **os.environ,
                **_ENVIRONMENT,
                **_auth(state_dir),
                MARK: mark,
                "ELIAS_LOGS": str(logs),
                direct.FOLDER: temp_dir,
            },
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    session = _Session(
        f"{host}:{port}", f"http://127.0.0.1:{dashboard}", leader.pid, _started(leader.pid) or 0.0, mark, temp_dir
    )
    # Written before it serves: whoever comes after a crash of ours must find what to clean.
    _write(state_dir, session)
    deadline = time.monotonic() + settings.start_timeout
    while not Path(temp_dir, "ray_current_cluster").exists():
        if leader.poll() is not None or time.monotonic() > deadline:
            words = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no word of why"]
            session.end()
            leader.wait()
            _address_file(state_dir).unlink(missing_ok=True)
            cure = "see that ports and memory are free, then start again"
            raise Refused("ray-start", f"Ray did not start: {words[0]}", place="ray", cure=cure)
        time.sleep(0.02)
    return session, leader


def _lead() -> None:
    """The leader: `ray start --block` in a process that the kernel kills when its parent dies."""
    parent, *flags = sys.argv[1:]
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        return  # it died before the kernel was told
    from ray.scripts.scripts import main  # noqa: PLC0415  the parent of this line does without Ray

    sys.argv = ["ray", "start", "--head", "--block", "--disable-usage-stats", "--no-monitor", *flags]
    main()  # type: ignore[no-untyped-call]


def _node_ip(address: str) -> str:
    """Ray takes 127.0.0.1 for "find my outward address", and any other address of the loopback network as it stands."""
    return "127.0.0.2" if ipaddress.ip_address(address) == ipaddress.ip_address("127.0.0.1") else address


def _port(host: str, port: int, place: str) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            cure = "end the process that holds it, or set another port (0: any free one)"
            raise Refused("port-in-use", f"{host}:{port}: {error.strerror}", place=place, cure=cure) from error
        bound: int = probe.getsockname()[1]
        return bound


def _make_token(state_dir: Path) -> None:
    path = state_dir / "ray.token"
    if not path.exists():
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))


def _auth(state_dir: Path) -> dict[str, str]:
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str((state_dir / "ray.token").resolve())}


def _address_file(state_dir: Path) -> Path:
    return state_dir / "ray.json"


def _read(state_dir: Path) -> _Session | None:
    try:
        return msgspec.json.decode(_address_file(state_dir).read_bytes(), type=_Session)
    except (OSError, msgspec.DecodeError):
        return None


def _write(state_dir: Path, session: _Session) -> None:
    path = _address_file(state_dir)
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(session))
    new.replace(path)


def _started(pid: int) -> float | None:
    """When the process under this pid started; with the pid it names a process for good. None: there is none."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    _lead()
