"""Brings the federation up and takes it down: what `elias up` and `elias down` do."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

import tiki
from federation.errors import EliasError, Refused, Temporary
from federation.points import schemas
from federation.runtime.cluster import ALONE, Cluster, Member
from federation.runtime.session import started
from federation.settings import Settings
from managers.uim import restarting, tls

if TYPE_CHECKING:
    from federation.bundles.acceptance import Acceptance
    from federation.runtime.processes import ActorSpec

ROSTER = "managers.roster"
START_DEADLINE = 90.0  # seconds; a start takes about 10 on two cores
DETACHED = 120.0  # seconds for a start in the background
DRAINED = 60.0  # seconds in which it has ended
AGENT = "agent.up"  # in the folder of a node while its agent is up
LEAVE = "leave"  # beside it: the order to leave
LISTENERS = ("gate", "ufm", "urm", "ulm", "uam")

Say = Callable[[str], None]


@dataclass(slots=True)
class Running:
    """What `up` has started. root: of the supervision tree."""

    cluster: Cluster
    root: Any = None

    def drain(self) -> None:
        """Finish what was accepted, then end everything. What takes too long, as without a database, is ended."""
        import ray  # noqa: PLC0415

        try:
            with suppress(ray.exceptions.RayError):
                ray.get(self.root.stop.remote(), timeout=30)
        finally:
            self.end()

    def end(self) -> None:
        """End everything as it stands."""
        import ray  # noqa: PLC0415

        ray.shutdown()
        self.cluster.down()


def up(
    settings: Settings,
    say: Say,
    fleet: "ActorSpec | None" = None,
    *,
    beside: bool = False,
    member: Member = ALONE,
    term: int = 0,
) -> Running | None:
    """Start everything on this node; None when it already runs.

    fleet: an actor that stands for all node agents; none: each Ray node has its own. beside: they have it as well.
    term: of the headship, where several machines can be the head.

    Raises Refused when the specs are not sound, a port is taken or would be served in the clear to other machines;
    Corrupt or Temporary when the ledger cannot be used.
    """
    os.umask(0o077)
    tls.check(settings.listen)
    _check_rules(settings, say)
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    tls.serving(settings)
    os.environ["ELIAS_LOGS"] = str(settings.state.resolve() / "logs")
    cluster = Cluster.attach(settings.state)
    if cluster is None:
        _check_port(settings.listen.host, settings.listen.port, "listen.port")
        _check_peers(settings)
        _check_ledger(settings)
        say("starting Ray")
        cluster = Cluster.up(settings.state, settings.ray, member, ROSTER, term=term, say=say)
    if not cluster.dashboard:
        cure = "`elias leave` first; the page is that of the head"
        raise Refused("joined", "this machine is a node of another cluster", place=str(settings.state), cure=cure)
    if not cluster.owner:
        return None
    for order in settings.state.glob(f"nodes/*/{LEAVE}"):
        order.unlink()  # to leave a cluster that this machine was in once
    restarting.forget(settings.state)
    from ray.exceptions import RayError  # noqa: PLC0415

    running = Running(cluster)
    try:
        cluster.connect()
        running.root = _launch(settings, fleet, beside=beside, term=term)
        _await_running(running.root, settings.state / "logs", say)
    except (RayError, ConnectionError) as error:
        running.end()
        raise Temporary(f"Ray ended while it started ({error}); see the logs in {settings.state / 'logs'}") from error
    except BaseException:
        running.end()
        raise
    return running


def _launch(settings: Settings, fleet: "ActorSpec | None", *, beside: bool, term: int) -> Any:
    """The root of the supervision tree; this process is connected."""
    from federation.runtime.processes import at_home  # noqa: PLC0415
    from federation.runtime.root import Heartbeat, launch  # noqa: PLC0415 - Ray takes half a second to import

    spec, actors = tree(settings, fleet, beside=beside, term=term)
    actors = tuple(actor if actor.per_node else at_home(actor) for actor in actors)
    heartbeat = Heartbeat(every=settings.supervision.heartbeat, hung_after=settings.supervision.hung_after)
    return launch(spec, actors, heartbeat)


def tree(
    settings: Settings, fleet: "ActorSpec | None" = None, *, beside: bool = False, term: int = 0
) -> tuple[Any, tuple[Any, ...]]:
    """The supervision tree and what its children are made of.

    Each child has a supervisor of its own, so one that keeps failing stays down alone and the others go on.
    """
    from federation.runtime.processes import ActorSpec  # noqa: PLC0415
    from federation.runtime.roster import Roster  # noqa: PLC0415
    from federation.supervision import Child, Supervisor  # noqa: PLC0415

    roster = Roster(ROSTER)
    limits = settings.supervision
    specs = [
        ActorSpec("appender", "federation.runtime.appender:AppenderService", {"settings": settings, "term": term}),
        ActorSpec(
            "gate", "federation.runtime.gate:GateService", {"name": "gate", "settings": settings, "roster": ROSTER}
        ),
    ]
    specs.append(ActorSpec("policy", "federation.runtime.policy:PolicyService", {"settings": settings}))
    if settings.advisors.providers:
        about = {"settings": settings, "roster": ROSTER}
        specs.append(ActorSpec("advisor", "federation.runtime.advisor:AdvisorService", about))
    for name in roster.managers:
        target = roster.services.get(name, "federation.runtime.manager:ManagerService")
        specs.append(ActorSpec(name, target, {"name": name, "settings": settings, "roster": ROSTER}))
    if fleet is not None:
        specs.append(fleet)
    agent = ActorSpec(
        "agent",
        "federation.runtime.agent:AgentService",
        {"settings": settings, "roster": ROSTER, "listeners": LISTENERS, "sign": AGENT, "leave": LEAVE},
        per_node=True,
    )
    watched = tuple(
        Supervisor(f"watch.{s.name}", "one_for_one", limits.intensity, limits.window, (Child(s.name),), escalate=False)
        for s in specs
    )
    agents = Supervisor("agent", "one_for_one", limits.intensity, limits.window, (), escalate=False)
    spread = (agents,) if fleet is None or beside else ()
    root = Supervisor("elias", "one_for_one", limits.intensity, limits.window, (*watched, *spread), escalate=False)
    return root, (*specs, agent) if spread else tuple(specs)


def down(settings: Settings, say: Say) -> bool:
    """Drain and end what runs for this state folder; False when nothing does."""
    pid = running(settings)
    if pid is not None:
        say(f"draining (process {pid})")
        begun, deadline = started(pid), time.monotonic() + DRAINED
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        while begun is not None and started(pid) == begun:
            if time.monotonic() > deadline:
                log = settings.state / "elias.log"
                raise Temporary(f"process {pid} is still draining; try again, or look at {log}")
            time.sleep(0.05)
    return Cluster.sweep(settings.state) or pid is not None


def running(settings: Settings) -> int | None:
    """The process that keeps this federation up, if one does."""
    try:
        pid, begun = keeper(settings).read_text().split()
        return int(pid) if started(int(pid)) == float(begun) else None
    except (OSError, ValueError):
        return None


@contextmanager
def keeping(settings: Settings) -> Iterator[bool]:
    """This process keeps up what runs for this state folder; False: another one does so. The file names it, by its
    start too: after it another process may get its number."""
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.state / "elias.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        keeper(settings).write_text(f"{os.getpid()} {psutil.Process().create_time()!r}")
        try:
            yield True
        finally:
            keeper(settings).unlink(missing_ok=True)


def keeper(settings: Settings) -> Path:
    """The file that names the process."""
    return settings.state / "elias.pid"


def command(config: Path | None, arguments: list[str]) -> list[str]:
    """Of `elias`, as this process runs it, with these arguments."""
    chosen = ["--config", str(config.resolve())] if config else []
    return [sys.executable, "-m", "managers.uim.cli", *chosen, *arguments]


def detached(config: Path | None, arguments: list[str], settings: Settings, ready: Callable[[Settings], bool]) -> None:
    """Run a command of `elias` in a session of its own, its output in the state folder, and return when it is ready.

    Raises Refused with its last words where it ends, Temporary where it is not ready in time.
    """
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = settings.state / "elias.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            command(config, arguments),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    deadline = time.monotonic() + DETACHED
    while not ready(settings):
        if process.poll() is not None and not ready(settings):
            last = log.read_text(errors="replace").strip().splitlines()[-4:]
            raise Refused("start", "it did not start: " + " / ".join(last), place=str(log), cure="correct that")
        if time.monotonic() > deadline:
            raise Temporary(f"it is not ready after {DETACHED:g} s; {log} may say why")
        time.sleep(0.2)


def check_specs(settings: Settings) -> tiki.Bundle:
    """The bundle of the spec folder. Raises Refused with every finding."""
    from federation.runtime.roster import Roster  # noqa: PLC0415

    folder = settings.spec_folder
    if not folder.is_dir():
        raise Refused(
            "no-specs", "there is no such folder of specs", place=str(folder), cure="correct `specs` in elias.yaml"
        )
    overlay = folder / "overlays" / settings.overlay if settings.overlay else None
    try:
        bundle = tiki.load(folder, schemas(Roster(ROSTER).points), overlay)
    except tiki.Invalid as error:
        raise Refused(
            "specs", str(error), place=str(folder), cure="correct them; `elias tiki check` shows the same"
        ) from None
    if not bundle.texts:
        raise Refused(
            "no-specs", "there is no spec in this folder", place=str(folder), cure="correct `specs` in elias.yaml"
        )
    return bundle


def _check_rules(settings: Settings, say: Say) -> None:
    """See that there are rules to begin with, and say which of those that somebody wants are not."""
    from federation.bundles import staging  # noqa: PLC0415
    from federation.bundles.acceptance import Acceptance  # noqa: PLC0415
    from federation.runtime.roster import Roster  # noqa: PLC0415

    required = settings.bundles.require_signature
    acceptance = Acceptance(schemas(Roster(ROSTER).points), settings.bundles.trust, require=required)
    chosen = staging.staged(settings.state)
    if chosen is not None:
        try:
            acceptance.bundle(chosen, time.time_ns())
        except Refused as error:
            place, cure = str(staging.place(settings.state)), f"{error.cure}; or remove this file"
            raise Refused(error.code, error.message, place=place, cure=cure) from None
        return
    origin, before = _in_force(settings, acceptance), "until then the specs stay in force that were so before"
    if required:
        why = acceptance.refused.why if acceptance.refused else "no signed bundle was ever in force"
        if not origin:
            cure = "name a signed bundle to begin with: `elias bundle activate FILE --at-start`"
            raise Refused("no-signed-bundle", why, place="bundles.require_signature", cure=cure)
        if acceptance.refused:
            say(f"{why}\n{before}")
    elif origin not in ("file", "rollback"):
        try:
            check_specs(settings)
        except Refused as error:
            if not origin:
                raise
            say(f"{error}\n{before}")


def _in_force(settings: Settings, acceptance: "Acceptance") -> str:
    """Where what is in force came from; `stale`: from a ledger of other decision points; empty: nothing is."""
    from federation.ledger.store import Store  # noqa: PLC0415

    try:
        store = Store.open(settings.ledger_url, read_only=True)
    except EliasError:
        return ""
    try:
        found = acceptance.newest(store)
        return found.text.origin if found else "stale" if acceptance.refused and not acceptance.require else ""
    finally:
        store.close()


def _check_ledger(settings: Settings) -> None:
    """What the appender would meet, told here where somebody reads it."""
    from federation.ledger.store import Store  # noqa: PLC0415

    store = Store.open(settings.ledger_url)
    try:
        store.latest(1, before=store.head().size + 1)
    finally:
        store.close()


def _check_peers(settings: Settings) -> None:
    """What UFM would meet, told here: our own keys, which the first start makes, the cards of the peers, the port."""
    peers = settings.peers
    if not peers.known:
        return
    from federation.peers import identity  # noqa: PLC0415

    identity.ours(settings.peers_folder, peers.name)
    for peer in peers.known.values():
        identity.read_card(peer.card)
    if peers.host:
        _check_port(peers.host, peers.port, "peers.port")


def _check_port(host: str, port: int, setting: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Refused(
                "port",
                f"{host}:{port}: {error.strerror}",
                place=setting,
                cure="stop what holds the port, or set another one in elias.yaml",
            ) from None


def _await_running(root: Any, logs: Path, say: Say) -> None:
    import ray  # noqa: PLC0415

    from federation.supervision import Status  # noqa: PLC0415

    deadline = time.monotonic() + START_DEADLINE
    told: set[str] = set()
    while True:
        tree = ray.get(root.tree.remote())
        members = [m for m in tree if m.supervisor not in ("", "elias") or m.pid]
        for member in members:
            if member.status == Status.RUNNING and member.pid and member.name not in told:
                told.add(member.name)
                say(f"{member.name} is up")
        waiting = sorted(m.name for m in members if m.status != Status.RUNNING)
        if not waiting and told:
            return
        gave_up = [m.name.removeprefix("watch.") for m in tree if m.status == Status.GAVE_UP]
        if gave_up or time.monotonic() > deadline:
            raise Temporary(f"{', '.join(gave_up or waiting)} did not start; see the logs in {logs}")
        time.sleep(0.1)


@contextmanager
def endable() -> Iterator[None]:
    """Within, the first SIGINT or SIGTERM ends what is under way with KeyboardInterrupt; further ones do not interrupt
    what it does about that."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def end(_number: int, _frame: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = [(number, signal.signal(number, end)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
