"""Ray on this machine as a child of ours: started once for a state directory, found again, ended without a trace.

It is the head of a cluster (`up`), or a node of a cluster whose head is elsewhere (`join`).
"""

import ctypes
import fcntl
import ipaddress
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from federation.errors import Refused
from federation.runtime import controlstore, credentials, forkserver, worker
from federation.runtime.controlstore import Store
from federation.runtime.invitation import Invitation
from federation.runtime.session import MARK, PATIENCE, Session, started
from federation.runtime.settings import RaySettings
from federation.runtime.versions import Versions

NAMESPACE = "elias"
STATE = "ELIAS_STATE"
NODE = "ELIAS_NODE"
LABELS = "ELIAS_LABELS"
"""Environment variables of every process of the cluster on this node: its state folder, name, and labels by spaces."""

ROSTER = "ELIAS_ROSTER"
"""Environment variable of who starts Ray: for whom its workers are copies of a fork server's."""

PORT = 6380
HEAD = "elias-head"
"""Ray's label of a machine that is or can be the head: the port of its control store."""
HEADS = "heads"
"""File in the state folder of a node: addresses of the machines with that label, for when the head is lost."""
_PR_SET_PDEATHSIG = 1
_REFUSED = "the head refuses this machine"
_UNLIKE = "another version: "

# A node that fell silent is dead after 2 to 3 s instead of 17; a batch of events travels with its call, not through the
# object store.
_SYSTEM_CONFIG = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
    "max_direct_call_object_size": 1 << 20,
    "prestart_worker_first_driver": False,  # a copy of the fork server is there at once
}

# What is switched off has a counterpart of ours: metrics, task events, logs that are copied to the driver.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "false",
    "RAY_enable_open_telemetry": "false",
    # Its job interface would show figures of its own to anybody, at all addresses; there is no port of this number.
    "DASHBOARD_METRIC_PORT": "-1",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_BACKEND_LOG_LEVEL": "warning",
    "RAY_LOGGER_LEVEL": "warning",
    "RAY_ROTATION_MAX_BYTES": str(8 << 20),
    "RAY_ROTATION_BACKUP_COUNT": "1",
    "RAY_worker_niceness": "0",  # Ray would run the managers, and what they start, at nice 15
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # who asked for no GPU sees none
    "RAY_START_HOOK": "federation.runtime.cluster.lean",
}


@dataclass(frozen=True, slots=True)
class Member:
    """As what a machine is known in the cluster. name: empty for its host name. labels: that jobs ask for. port: of the
    control store, where this is the head or can become it; 0: neither."""

    name: str = ""
    labels: tuple[str, ...] = ()
    port: int = 0

    def environment(self) -> dict[str, str]:
        return {NODE: self.name or socket.gethostname(), LABELS: " ".join(self.labels)}

    def options(self) -> dict[str, object]:
        """Of `ray start`."""
        return {"node-name": self.name or None, "labels": f"{HEAD}={self.port}" if self.port else None}


ALONE = Member()
"""A machine that nobody has named, and nobody joins."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Ray cluster that serves. address: for `connect` and other nodes; dashboard: the URL of the job interface, empty
    where the head is elsewhere."""

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
    def up(
        cls,
        state_dir: Path,
        settings: RaySettings | None = None,
        member: Member = ALONE,
        roster: str = "",
        *,
        term: int = 0,
        say: Callable[[str], None] = print,
    ) -> "Cluster":
        """Attaches to the cluster of this state directory, or starts it; two at the same time start it once. roster:
        import path of those whose processes begin as copies of one that has read their code. term: of the headship.
        say: is told where its control store cannot be where the settings want it.

        Call it from the main thread of the process that shall own the cluster: Ray ends with that thread. Refused if a
        port is taken or Ray does not start.
        """
        return cls._started(state_dir, lambda: _head(state_dir, settings or RaySettings(), member, roster, term, say))

    @classmethod
    def join(cls, state_dir: Path, invitation: Invitation, member: Member, settings: RaySettings) -> "Cluster":
        """Makes this machine a node of the cluster that the invitation is for; otherwise as `up`."""
        return cls._started(state_dir, lambda: _node(state_dir, invitation, member, settings))

    @classmethod
    def _started(cls, state_dir: Path, start: "Callable[[], tuple[Session, subprocess.Popen[bytes]]]") -> "Cluster":
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(state_dir / "ray.lock"):
            if found := cls.attach(state_dir):
                return found
            if left := Session.of(state_dir):
                left.end()
            session, leader = start()
            return cls._of(state_dir, session, leader)

    @classmethod
    def attach(cls, state_dir: Path) -> "Cluster | None":
        """The running cluster of this state directory, if there is one; the address file of a dead one counts not."""
        session = Session.of(state_dir)
        return cls._of(state_dir, session) if session and session.serves() else None

    @classmethod
    def _of(cls, state_dir: Path, session: Session, leader: "subprocess.Popen[bytes] | None" = None) -> "Cluster":
        return cls(state_dir, session.address, session.dashboard, session.pid, leader)

    def alive(self) -> bool:
        session = Session.of(self.state_dir)
        return session is not None and session.pid == self.pid and session.serves()

    def connect(self) -> None:
        """Makes this process a driver of the cluster, in namespace `elias`. Nothing if it is one already."""
        os.environ.update(credentials.environment(self.state_dir))
        if (session := Session.of(self.state_dir)) is not None and session.store is not None:
            os.environ.update(controlstore.PATIENT)
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
        handlers = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
        ray.init(self.address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False)
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers:  # Ray's own print a stack before they pass the signal on
                signal.signal(number, handler)

    def environment(self) -> dict[str, str]:
        """What another program needs to join or ask the cluster: where its token is, and its certificates."""
        return credentials.environment(self.state_dir)

    def processes(self) -> list[psutil.Process]:
        """Every living process of the cluster on this machine, for measuring."""
        session = Session.of(self.state_dir)
        return session.processes() if session else []

    def down(self, patience: float = PATIENCE) -> None:
        """Ends every process of the cluster on this machine and forgets it, at once where there is no patience (s) for
        Ray to do it. Temporary if one cannot be ended."""
        self.sweep(self.state_dir, self.pid, patience)
        if self.leader is not None:
            self.leader.wait()

    @staticmethod
    def sweep(state_dir: Path, pid: int = 0, patience: float = PATIENCE) -> bool:
        """The same for what is left of any cluster of this state folder, dead or alive; pid: only of this one. False:
        there is nothing."""
        if not state_dir.exists():
            return False
        with _locked(state_dir / "ray.lock"):
            session = Session.of(state_dir)
            if session is None or pid not in (0, session.pid):
                return False
            session.end(patience)
            Session.forget(state_dir)
            if not session.head:
                credentials.forget(state_dir)
            return True


def lean(params: Any, head: bool) -> None:
    """Ray's start hook: without what `ray start` cannot be told to leave out. That is the server for Ray Client, and of
    the dashboard all but the job interface and what tells it of the nodes: six processes of 20 MB and more.
    """
    os.environ.pop("RAY_START_HOOK", None)
    if not head:
        return
    params.ray_client_server_port = None
    params.worker_path = worker.__file__
    from ray._private import ray_constants, services  # noqa: PLC0415  the parent of this process does without Ray

    start, folder, roster = services.start_ray_process, Path(os.environ[worker.FOLDER]), os.environ.pop(ROSTER, "")
    store = Store.handed()

    def started(command: list[str], kind: str, *args: Any, **more: Any) -> Any:
        if kind == ray_constants.PROCESS_TYPE_DASHBOARD:
            info = start([*command, "--modules-to-load=JobHead,NodeHead"], kind, *args, **more)
            _announce(command, kept=store is not None)
            return info
        if kind == ray_constants.PROCESS_TYPE_GCS_SERVER and store is not None:
            environment = store.environment()

            def again() -> Any:
                nonlocal environment
                with suppress(Refused):  # its file cannot be read now: what it was will do
                    environment = store.environment()
                return start([*command, *store.flags()], kind, *args, **{**more, "env_updates": environment})

            info = again()
            return info._replace(process=controlstore.Kept(info.process, lambda: again().process))
        if kind != ray_constants.PROCESS_TYPE_RAYLET or not roster:
            return start(command, kind, *args, **more)
        with forkserver.beside(folder, roster) as serve:
            info = start(command, kind, *args, **more)
            serve(info.process.pid)
            return info

    services.start_ray_process = started  # type: ignore[assignment]


def _announce(dashboard: list[str], *, kept: bool) -> None:
    """Say in its place where the dashboard will serve: Ray would wait for its word, 3 s and more, and start nothing
    meanwhile. Who needs the job interface waits for it; should it not come up, Ray ends. kept: the control store is in
    Redis, which is said as well."""
    from ray._private import ray_constants  # noqa: PLC0415
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # noqa: PLC0415

    said = dict(word.removeprefix("--").partition("=")[::2] for word in dashboard)
    client = GcsClient(address=said["gcs-address"], cluster_id=said["cluster-id-hex"])
    key, there = ray_constants.DASHBOARD_ADDRESS.encode(), f"{said['host']}:{said['port']}".encode()
    client.internal_kv_put(key, there, True, ray_constants.KV_NAMESPACE_DASHBOARD)
    if kept:
        client.internal_kv_put(controlstore.KEPT, b"1", True, None)


def port_of_head(settings: RaySettings) -> int:
    """The port of the control store where this machine is the head; 0: any free one, for nobody else reaches it."""
    return settings.port or (0 if settings.loopback else PORT)


def _head(
    state_dir: Path, settings: RaySettings, member: Member, roster: str, term: int, say: Callable[[str], None]
) -> "tuple[Session, subprocess.Popen[bytes]]":
    host = _node_ip(settings.address)
    port = _port(host, port_of_head(settings), "ray.port")
    dashboard = _port("127.0.0.1", settings.dashboard_port, "ray.dashboard_port")
    credentials.begin(state_dir, host, tls=settings.tls)
    store = controlstore.begun(settings.redis, credentials.token_file(state_dir), term, say)
    options = {
        "port": port,
        "dashboard-host": "127.0.0.1",
        "dashboard-port": dashboard,
        "include-dashboard": "true",
        "system-config": json.dumps(_SYSTEM_CONFIG),
        **member.options(),
    }
    flags = ["--head", "--no-monitor", *_flags(options)]
    page = f"http://127.0.0.1:{dashboard}"
    environment = {**member.environment(), ROSTER: roster}
    return _serve(state_dir, settings, host, f"{host}:{port}", flags, environment, dashboard=page, store=store)


def _node(
    state_dir: Path, invitation: Invitation, member: Member, settings: RaySettings
) -> "tuple[Session, subprocess.Popen[bytes]]":
    outward = invitation.outward()
    host = outward if settings.loopback else settings.address
    options = {"address": invitation.head, **member.options()}
    credentials.join(state_dir, host, invitation.token, invitation.authority)
    try:
        invitation.check_certificate(credentials.tls_folder(state_dir, head=False))
        return _serve(state_dir, settings, host, invitation.head, _flags(options), member.environment())
    except BaseException:
        credentials.forget(state_dir)
        raise


def _flags(options: Mapping[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items() if value is not None]


def _serve(
    state_dir: Path,
    settings: RaySettings,
    host: str,
    address: str,
    flags: Sequence[str],
    environment: Mapping[str, str],
    *,
    dashboard: str = "",
    store: Store | None = None,
) -> "tuple[Session, subprocess.Popen[bytes]]":
    """Ray on this machine, once it serves. host: this node's own address; address: of the cluster's control store."""
    # Ray's socket paths must stay under 107 bytes, and a state directory may lie deep.
    root = tempfile.gettempdir() if len(tempfile.gettempdir()) < 20 else "/tmp"  # noqa: S108  mkdtemp makes it private
    temp_dir = tempfile.mkdtemp(prefix="elias-", dir=root)
    mark = secrets.token_hex(16)
    options = {
        "node-ip-address": host,
        "dashboard-agent-listen-port": 0,
        "min-worker-port": 0,
        "max-worker-port": 0,
        "include-log-monitor": "false",
        "object-store-memory": settings.object_store_memory,
        "temp-dir": temp_dir,
        "num-cpus": settings.cpus,
        "num-gpus": settings.gpus,
    }
    log = Path(temp_dir, "start.log")
    with log.open("wb") as out:
        leader = subprocess.Popen(
            [sys.executable, "-m", "federation.runtime.cluster", str(os.getpid()), *flags, *_flags(options)],
            env={
                **os.environ,
                **_ENVIRONMENT,
                **credentials.environment(state_dir, head=bool(dashboard)),
                MARK: mark,
                STATE: str(state_dir.resolve()),
                "ELIAS_LOGS": str((state_dir / "logs").resolve()),
                **environment,
                **(store.handing() if store else {}),
                worker.FOLDER: temp_dir,
            },
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    since = started(leader.pid) or 0.0
    session = Session(address, dashboard, leader.pid, since, mark, temp_dir, bool(dashboard), store)
    # Written before it serves: whoever comes after a crash of ours must find what to clean.
    session.save(state_dir)
    deadline = time.monotonic() + settings.start_timeout
    while not Path(temp_dir, "ray_current_cluster").exists():
        if leader.poll() is not None or time.monotonic() > deadline:
            words = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no word of why"]
            session.end()
            leader.wait()
            Session.forget(state_dir)
            if words[0] == _REFUSED:
                cure = "make a new invitation there, with `elias invite FILE`, and copy it here whole"
                raise Refused("token", f"the cluster at {address} does not take this token", cure=cure)
            if words[0].startswith(_UNLIKE):
                cure = "install the versions of the head here, then join again"
                raise Refused("version-skew", words[0].removeprefix(_UNLIKE), cure=cure)
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

    for head in (flag.removeprefix("--address=") for flag in flags if flag.startswith("--address=")):
        _introduce(head)
    sys.argv = ["ray", "start", "--block", "--disable-usage-stats", *flags]
    main()  # type: ignore[no-untyped-call]


def _introduce(head: str) -> None:
    """Ends this process where the cluster does not take our token, or has another Ray or Python. Ray itself would find
    that out once its processes are up, and try for minutes. Else learns how patient this node has to be."""
    from ray import _raylet  # noqa: PLC0415
    from ray.exceptions import AuthenticationError  # noqa: PLC0415

    try:
        client = _raylet.GcsClient(address=head)  # type: ignore[attr-defined]
        there, kept = Versions.of(client), client.internal_kv_get(controlstore.KEPT, None)
    except AuthenticationError:
        sys.exit(_REFUSED)
    if there is not None and not there.fits(here := Versions.here()):
        sys.exit(f"{_UNLIKE}{there} at the head, {here} here")
    if kept is not None:
        os.environ.update(controlstore.PATIENT)


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


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    _lead()
