"""Two clusters in one process, with everything but the network real: where a job goes, and that it runs once, whatever
becomes of the messages.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tiki
from federation.clock import SECOND, VirtualClock
from federation.effects import Executor, FreezeFlag, Order
from federation.errors import Refused, Temporary
from federation.ledger.store import Store
from federation.local import LocalFederation, points_of
from federation.manager import Emission
from federation.peers.messages import CAPACITY, LOOK, OFFER, Capacity, Offer, Room, Standing, Work
from federation.peers.sealing import Seal
from federation.peers.settings import Peer, PeersSettings
from federation.points import schemas
from federation.records import Answered, Event, Freeze, Kind, Mode, Outcome, decode
from federation.replies import Rejected, Reply
from federation.settings import Settings, shipped_specs
from managers.ufm.manager import Ufm
from managers.ufm.peers.forwarding import Forward
from managers.ufm.peers.hosting import SETTLING, Host
from managers.ufm.peers.line import Unsent
from managers.urm.manager import Urm

GIB = 1 << 30
LOG = logging.getLogger("test")
LARGE = {"command": ["true"], "cpus": 8.0, "anywhere": True}


class Runs:
    """Runs jobs by name only."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.outcome = Outcome("done", "", {"exit_code": 0, "seconds": 1.5}, 1.0)

    async def do(self, order: Order) -> Outcome:
        self.orders.append(order)
        return self.outcome

    async def probe(self, order: Order) -> Outcome:
        return Outcome("unknown")


class Side:
    """A cluster of one node. lines: to its peers."""

    def __init__(self, folder: Path, name: str, cpus: int, clock: VirtualClock, **accepts: Any) -> None:
        folder = folder / name
        folder.mkdir(parents=True)
        self.name, self.clock, self.cpus = name, clock, cpus
        others = {"east", "west", "north"} - {name}
        known = {one: Peer(url=f"https://{one}", card=Path("x"), **{"accepts": True, **accepts}) for one in others}
        self.settings = Settings(state=folder, peers=PeersSettings(name=name, known=known))
        self.store = Store.open(f"sqlite:///{folder / 'ledger.db'}")
        self.ufm, self.urm, self.runs = Ufm(self.settings), Urm(self.settings), Runs()
        self.lines: dict[str, Wire] = {}
        self.waited = 0.0  # for ends of jobs (s)
        self.slept: Callable[[], Awaitable[None]] = self.act
        doers: Any = {"job.start": self.runs, "job.forward": Forward(self.lines, LOG, self._sleep)}
        self.executor = Executor(folder / "effects.db", doers, clock, FreezeFlag(folder))
        managers = ("ufm", "urm", "gate")
        sources = [s for s in tiki.read_directory(shipped_specs()) if s.path.partition("/")[0] in managers]
        bundle = tiki.build(sources, schemas(points_of([Ufm, Urm])))
        executors = {"@ufm": self.executor, f"{name}-1": self.executor}
        both = [self.ufm, self.urm]
        self.federation = LocalFederation(both, bundle, self.store, clock, self.settings, executors)
        self.host = self.serve()
        self.report()

    def serve(self, started: int = 0) -> Host:
        known: Callable[[str], bool] = lambda decision: bool(self.store.known([decision]))  # noqa: E731
        state = lambda: self.ufm.state.peers  # noqa: E731
        return Host(self.settings.peers, state, self._submit, known, self.ufm.room_for, self.hear, started)

    def close(self) -> None:
        self.executor.close()
        self.store.close()

    async def _sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.waited += seconds
        assert self.waited < 3600, "it is awaited for ever"
        await self.slept()

    async def _submit(self, event: Event) -> Sequence[Reply] | Rejected:
        return self.federation.post([event])[0]

    async def hear(self, peer: str, told: Capacity | None, problem: str | None = None) -> None:
        rooms = None if told is None else msgspec.to_builtins(told.rooms)
        self.federation.report("ufm", [{"peer": peer, "rooms": rooms, "problem": problem}])

    def report(self) -> None:
        totals = {"cpus": self.cpus, "memory_total": 64 * GIB, "memory_free": 60 * GIB, "memory": 5.0, "gpus": []}
        report = {"node": f"{self.name}-1", "jobs": [], "labels": [], **totals}
        for manager in ("ufm", "urm"):
            self.federation.report(manager, [report])

    async def act(self) -> None:
        await self.federation.act()

    def submit(self, job: str, **data: Any) -> Reply:
        event = Event(job, "test", "elias.job.submitted", job, None, LARGE | data)
        (replies,) = self.federation.post([event])
        assert not isinstance(replies, Rejected), replies
        return replies[0]

    async def round(self, *heard: str) -> None:
        """Ten seconds: reports, word of what these peers have free, ticks, and whatever is released."""
        self.report()
        for peer in heard:
            told = await self.lines[peer].ask(CAPACITY, self.ufm.room_for(peer), Capacity)
            await self.hear(peer, told)
        self.federation.tick()
        await self.act()
        self.clock.advance(10)

    def answers(self, point: str, job: str) -> list[str]:
        found = self.store.read(kinds=[Kind.ANSWERED], points=[point])
        return [decode(Kind.ANSWERED, r.body).action for r in found if r.header.subject == job]

    def outcomes(self, job: str) -> list[str]:
        found = self.store.read(kinds=[Kind.OUTCOME], points=["ufm.forward"])
        return [decode(Kind.OUTCOME, r.body).status for r in found if r.header.subject == job]

    @property
    def ran(self) -> list[str]:
        return [order.subject for order in self.runs.orders]


class Wire:
    """From one side to another. faults: what becomes of the next messages about jobs: `unsent`, `lost` on the way,
    `unanswered` (it arrives, its answer does not), `late` (it arrives after the next one); then all arrive."""

    def __init__(self, source: Side, to: Side, faults: Sequence[str] = ()) -> None:
        self.source, self.to, self.faults = source, to, list(faults)
        self.late: list[tuple[Seal, str, bytes]] = []
        self.count = 0

    async def ask(self, path: str, message: msgspec.Struct, answer: Any, hops: tuple[str, ...] = ()) -> Any:
        self.count += 1
        seal = Seal(self.source.name, self.to.name, f"{self.count:032x}", 0, (*hops, self.source.name))
        fault = self.faults.pop(0) if self.faults and path != CAPACITY else ""
        body = msgspec.json.encode(message)
        if fault == "unsent":
            raise Unsent("no connection")
        if fault == "lost":
            raise Temporary("no answer")
        if fault == "late":
            self.late.append((seal, path, body))
            raise Temporary("no answer")
        try:
            said = await self._arrive(seal, path, body)
        finally:
            for late in self.late:
                with contextlib.suppress(Refused, Temporary):
                    await self._arrive(*late)
            self.late.clear()
        if fault == "unanswered":
            raise Temporary("no answer")
        return msgspec.json.decode(said, type=answer)

    async def _arrive(self, seal: Seal, path: str, body: bytes) -> bytes:
        now = self.to.clock.now() * 1000 // SECOND
        return msgspec.json.encode(await self.to.host.answer(seal, path, body, now))


class Two:
    def __init__(self, folder: Path, faults: Sequence[str] = (), **accepts: Any) -> None:
        clock = VirtualClock()
        self.east, self.west = Side(folder, "east", 2, clock), Side(folder, "west", 16, clock, **accepts)
        self.east.lines["west"] = Wire(self.east, self.west, faults)
        self.east.slept = self.west.act

    def close(self) -> None:
        self.east.close()
        self.west.close()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    made = Two(tmp_path)
    yield made
    made.close()


# -- where a job goes -----------------------------------------------------------------------------------------------


async def test_a_job_that_is_too_large_here_waits_for_a_peer_and_runs_there(two: Two) -> None:
    assert two.east.submit("train").action == "wait"
    await two.east.round()
    assert two.east.answers("ufm.forward", "train") == []  # nobody has told of room
    await two.east.round("west")
    assert two.east.answers("ufm.forward", "train") == ["forward"]
    assert two.east.outcomes("train") == ["done"]
    assert two.west.ran == ["east.train"]
    assert (two.east.urm.state.jobs, two.west.urm.state.jobs) == ({}, {})


@pytest.mark.parametrize("needs", [{"memory": "8GB"}, {"gpus": None, "priority": None}], ids=["unit", "nulls"])
async def test_what_a_job_asks_for_is_read_alike_wherever_it_comes(two: Two, needs: dict[str, Any]) -> None:
    """Admitted and placed here, or given to a peer, and admitted and placed there."""
    assert two.east.submit("here", cpus=1.0, **needs).action == "admit"
    two.east.submit("there", **needs)
    await two.east.round("west")
    await two.east.round("west")
    assert (two.east.ran, two.west.ran) == (["here"], ["east.there"])


async def test_a_job_that_was_admitted_and_fits_no_node_goes_as_well(two: Two) -> None:
    """Labels are looked at when it is placed."""
    assert two.east.submit("train", cpus=1.0, labels=["big"]).action == "admit"
    await two.east.hear("west", Capacity((Room(16000, GIB, labels=("big",)),)))
    two.east.federation.tick()
    assert two.east.answers("ufm.forward", "train") == ["forward"]
    assert not two.east.ufm.state.waiting


@pytest.mark.parametrize("data", [{"anywhere": False}, {"cpus": 32.0}, {"memory": 100 * GIB}, {"gpus": 1}])
async def test_a_job_stays_where_it_may_not_or_cannot_go(two: Two, data: dict[str, Any]) -> None:
    two.east.submit("train", **data)
    for _ in range(3):
        await two.east.round("west")
    assert two.east.answers("ufm.forward", "train") == []
    assert two.west.ran == []


async def test_what_was_told_long_ago_counts_no_more(two: Two) -> None:
    await two.east.round("west")
    two.east.clock.advance(31)
    two.east.submit("train")
    await two.east.round()
    assert two.east.answers("ufm.forward", "train") == []
    assert [peer["heard"] for peer in two.east.ufm.view(two.east.clock.now())["peers"]] == [False, False]


async def test_a_peer_that_can_speak_to_us_and_not_hear_us_is_given_nothing(two: Two) -> None:
    await two.east.hear("west", None, "west was not reached")
    two.east.submit("train")
    room = Capacity((Room(16000, GIB),))
    await two.east.hear("west", room)
    await two.east.round()
    assert two.east.answers("ufm.forward", "train") == []
    await two.east.hear("west", room, "")
    await two.east.round()
    assert two.east.answers("ufm.forward", "train") == ["forward"]


async def test_a_job_that_only_a_peer_can_take_keeps_nobody_waiting(two: Two) -> None:
    for _ in range(4):  # until it is known that all nodes have reported
        await two.east.round()
    assert two.east.submit("large").action == "wait"
    assert two.east.submit("small", cpus=1.0).action == "admit"


async def test_a_job_goes_on_to_nobody_that_it_came_by(tmp_path: Path) -> None:
    west = Side(tmp_path, "west", 2, VirtualClock())
    offer = msgspec.json.encode(Offer("ab" * 16, "train", Work(("true",), cpus=8.0)))
    await west.host.answer(Seal("east", "west", "01" * 16, 0, ("north", "east")), OFFER, offer, 0)
    for peer in ("east", "north"):
        await west.hear(peer, Capacity((Room(16000, GIB),)))
    await west.round()
    assert west.answers("ufm.forward", "east.train") == []
    west.close()


async def test_a_frozen_cluster_gives_no_job_away_and_runs_it_nowhere_else(two: Two) -> None:
    two.east.federation.note(Emission(Kind.FREEZE, "", "", "", Freeze(True, "ada")))
    two.east.submit("train", cpus=1.0, labels=["big"])
    await two.east.hear("west", Capacity((Room(16000, GIB, labels=("big",)),)))
    await two.east.round()
    two.east.cpus = 64
    await two.east.round()
    assert (two.east.ran, two.west.ran) == ([], [])


@pytest.mark.parametrize("mode", ["observe", "approve"])
async def test_a_job_that_is_not_given_yet_may_still_start_here(two: Two, mode: str) -> None:
    two.east.federation.note(Emission(Kind.MODE, "", "", "", Mode("ufm.forward/forward", mode, "ada")))
    two.east.submit("train")
    for _ in range(3):
        await two.east.round("west")
    assert two.east.answers("ufm.forward", "train") == ["forward"]  # and it is not said every ten seconds
    two.east.cpus = 16
    for _ in range(4):
        await two.east.round("west")
    assert (two.east.ran, two.west.ran) == (["train"], [])
    if mode == "approve":
        (case,) = two.east.federation.desks["gate"].state.cases
        two.east.federation.answer("gate", case, "approve", effect=_effect(two.east))
        await two.east.round("west")
        assert two.west.ran == []  # a person said yes, and it had run by then
        assert two.east.outcomes("train") == ["refused"]


def _effect(side: Side) -> str:
    (record,) = side.store.read(kinds=[Kind.ASKED], points=["gate.approval"])
    (candidate, _) = decode(Kind.ASKED, record.body).candidates
    return str(candidate.args["effect"])


async def test_what_a_person_confirms_is_given_to_the_peer(two: Two) -> None:
    two.east.federation.note(Emission(Kind.MODE, "", "", "", Mode("ufm.forward/forward", "approve", "ada")))
    two.east.submit("train")
    await two.east.round("west")
    (case,) = two.east.federation.desks["gate"].state.cases
    two.east.federation.answer("gate", case, "approve", effect=_effect(two.east))
    await two.east.round("west")
    assert two.west.ran == ["east.train"]
    assert two.east.outcomes("train") == ["done"]


# -- what a peer may do here ------------------------------------------------------------------------------------------


def offer(side: Side, number: int, **work: Any) -> Awaitable[Any]:
    message = Offer(f"{number:032x}", f"job-{number}", Work(**({"command": ("true",), "cpus": 1.0} | work)))
    seal = Seal("east", "west", f"{number:032x}", 0, ("east",))
    return side.host.answer(seal, OFFER, msgspec.json.encode(message), side.clock.now() * 1000 // SECOND)


@pytest.mark.parametrize(
    ("accepts", "work", "why"),
    [
        ({"accepts": False}, {}, "not run here"),
        ({"jobs": 0}, {}, "0 may be"),
        ({"gpus": 1}, {"gpus": 2}, "hold 0 GPUs here, and may hold 1"),
        ({"gpus": 0}, {"gpu_share": 0.5}, "and may hold 0"),
        ({"memory": GIB}, {"memory": 2 * GIB}, "bytes of memory"),
    ],
    ids=["not_at_all", "no_more_jobs", "no_gpus", "no_share", "no_memory"],
)
async def test_a_peer_gets_no_more_than_the_settings_give_it(
    tmp_path: Path, accepts: dict[str, Any], work: dict[str, Any], why: str
) -> None:
    west = Side(tmp_path, "west", 16, VirtualClock(), **accepts)
    with pytest.raises(Refused, match=why) as error:
        await offer(west, 1, **work)
    assert error.value.code == "peer-limit"
    assert not list(west.store.read(points=["urm.admission"]))
    west.close()


async def test_its_limits_count_all_its_jobs_together_until_they_end(tmp_path: Path) -> None:
    west = Side(tmp_path, "west", 16, VirtualClock(), jobs=2)
    assert [(await offer(west, number)).state for number in (1, 2)] == ["here", "here"]
    with pytest.raises(Refused, match="2 of its jobs are here"):
        await offer(west, 3)
    assert west.ufm.room_for("east").rooms == ()
    await west.act()
    assert (await offer(west, 3)).state == "here"
    assert west.ufm.room_for("east").rooms
    west.close()


async def test_a_job_of_a_peer_runs_with_what_the_settings_say_and_no_more(tmp_path: Path) -> None:
    west = Side(tmp_path, "west", 16, VirtualClock(), labels=("guests",))
    message = {"effect": "ab" * 16, "job": "train", "work": {"command": ["true"], "cwd": "/root", "priority": 99}}
    seal = Seal("east", "west", "01" * 16, 0, ("east",))
    await west.host.answer(seal, OFFER, msgspec.json.encode(message), 0)
    (record,) = west.store.read(kinds=[Kind.ASKED], points=["urm.admission"])
    event = decode(Kind.ASKED, record.body).event
    assert (event.source, event.subject, event.id) == ("elias/peer/east", "east.train", "ab" * 16)
    assert event.data["labels"] == ["guests"]
    assert event.data.keys().isdisjoint({"cwd", "priority"})
    west.close()


async def test_the_same_offer_again_is_the_same_job(two: Two) -> None:
    for _ in range(3):
        assert (await offer(two.west, 1)).state in ("here", "ended")
        await two.west.act()
    assert two.west.ran == ["east.job-1"]


async def test_what_nobody_has_is_absent_and_refused_from_then_on(two: Two) -> None:
    seal = Seal("east", "west", "01" * 16, 0, ("east",))
    look = msgspec.json.encode({"effect": f"{7:032x}", "job": "job-7"})
    standing = await two.west.host.answer(seal, LOOK, look, 0 + SETTLING)
    assert standing == Standing("absent")
    with pytest.raises(Refused) as error:
        await offer(two.west, 7)
    assert error.value.code == "peer-declined"
    assert two.west.ran == []


async def test_who_has_just_begun_does_not_say_what_it_does_not_have(two: Two) -> None:
    """What was on its way to the ledger when the process before it ended may still come."""
    now = two.west.clock.now() * 1000 // SECOND
    host = two.west.serve(started=now)
    look = msgspec.json.encode({"effect": f"{7:032x}", "job": "job-7"})
    with pytest.raises(Temporary):
        await host.answer(Seal("east", "west", "01" * 16, 0, ("east",)), LOOK, look, now + 1000)


# -- once, whatever becomes of the messages ---------------------------------------------------------------------------

FAULTS = ("ok", "unsent", "lost", "unanswered", "late")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=st.lists(st.sampled_from(FAULTS), max_size=8), ended=st.sampled_from(["done", "failed"]))
async def test_a_job_runs_exactly_once(tmp_path_factory: pytest.TempPathFactory, faults: list[str], ended: str) -> None:
    two = Two(tmp_path_factory.mktemp("two"), faults)
    two.west.runs.outcome = Outcome(ended, "", {"exit_code": int(ended == "failed")})
    two.east.submit("train")
    for _ in range(12):
        await two.east.round("west")
        await two.west.round()
        if two.east.outcomes("train")[-1:] == [ended]:
            break
    assert two.west.ran == ["east.train"]
    assert two.east.outcomes("train")[-1] == ended
    assert set(two.east.outcomes("train")[:-1]) <= {"refused"}
    assert two.east.urm.state.jobs == {}
    assert two.east.ran == []
    two.close()


async def test_a_restarted_manager_knows_who_has_which_job(two: Two) -> None:
    """From the log alone; what was being awaited is asked for, and not sent again."""
    two.east.submit("train")
    two.west.runs.outcome = Outcome("done", "", {"exit_code": 0})
    await two.east.round("west")
    again = Ufm(two.east.settings)
    again.load(msgspec.json.decode(msgspec.json.encode(two.east.ufm.dump()), type=Ufm.State))
    assert again.state.peers == two.east.ufm.state.peers
    found = await Forward(two.east.lines, LOG, two.east._sleep).probe(_order(two.east))
    assert found.status == "done"
    assert two.west.ran == ["east.train"]


def _order(side: Side) -> Order:
    (record,) = side.store.read(kinds=[Kind.ANSWERED], points=["ufm.forward"])
    answered: Answered = decode(Kind.ANSWERED, record.body)
    asked = next(side.store.read(kinds=[Kind.ASKED], points=["ufm.forward"]))
    target = side.ufm.peers.target(decode(Kind.ASKED, asked.body), answered)
    return Order(
        record.header.decision,
        "ufm.forward",
        "train",
        "forward",
        answered.args,
        "job.forward",
        1,
        1,
        0,
        dict(target.payload),
    )
