"""A plant with a valve, a policy that scores what to do with it, and people who know what is right; for tests of what
becomes of a policy over many decisions.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import NamedTuple

import msgspec

import tiki
from federation.clock import VirtualClock
from federation.counsel import Heard
from federation.desk import Desk
from federation.effects import Doer, Executor, FreezeFlag, Order
from federation.gate import APPROVAL, SUPERVISION, WITHHELD
from federation.ledger.store import Store
from federation.local import LocalFederation
from federation.manager import Emission, Manager, hears
from federation.points import DecisionPoint, Does, schemas
from federation.points import Mode as Modes
from federation.policy.calibration import Calibration, PointCalibration, Step
from federation.policy.exploration import taken
from federation.policy.tier import Said, Tier
from federation.records import Entry, Event, Kind, Mode, Outcome, Record, Scored, decode
from federation.settings import Settings, shipped_specs
from managers.ulm import calibration as calibration_
from managers.ulm import promoting, promotion
from managers.ulm.manager import Ulm
from managers.ulm.points import POINTS as ULM
from tiki.schema import Action, Fact, Point, Type

POLICY = "a" * 64

VALVE = DecisionPoint(
    Point(
        name="plant.valve",
        version=3,
        doc="What is done about the pressure?",
        facts=(Fact(name="pressure", type=Type.PERCENT, doc="of what the vessel stands"),),
        actions=(
            Action(name="open", doc="let some out", undo="close"),
            Action(name="close", doc="keep it in", undo="open"),
            Action(name="flush", doc="let all of it out, for good"),
            Action(name="hold", doc="leave it"),
        ),
        terminal="hold",
        trigger="every",
    ),
    events=("plant.measured",),
    effects={name: Does("valve.turn", Modes.ACT, disruptive=False) for name in ("open", "close", "flush")},
)

SPEC = """
## PLANT Valve Spec
- decides: plant.valve
- fallback: request_operator
- timeout: 30d
- otherwise: consult [open, close, flush, hold]
"""


class PlantState(msgspec.Struct):
    pass


class Plant(Manager):
    name = "plant"
    points = (VALVE,)
    State = PlantState


class Question(NamedTuple):
    """scores: what the policy says. right: number of the candidate that is."""

    scores: tuple[float, ...]
    right: int


def question(random: Random, noise: float) -> Question:
    """The policy sees the candidates' worth with some noise of its own, the world goes on with `noise`."""
    worth = [6 * random.gauss(0, 1) for _ in range(4)]
    seen = [one + random.gauss(0, 0.4) for one in worth]
    outcome = [one + noise * random.gauss(0, 1) for one in worth]
    top = max(seen)
    total = top + math.log(math.fsum(math.exp(one - top) for one in seen))
    return Question(tuple(one - total for one in seen), max(range(4), key=outcome.__getitem__))


def calibration(threshold: float) -> PointCalibration:
    """The confidence is the best label's probability against the second's."""
    steps = (Step(threshold, accepted=1000, wrong=10, bound=0.05),)
    return PointCalibration(VALVE.schema.version, 1.0, (0.0, 1.0, -1.0, 0.0), steps, 1000, 1000, 1, 0.03)


class Turn:
    """Turns the valve, in mind."""

    async def do(self, order: Order) -> Outcome:
        return Outcome("done")

    async def probe(self, order: Order) -> Outcome:
        return Outcome("done")


Says = Callable[[Question], tuple[float, ...]]
"""The scores of a policy."""


def _said(turn: Sequence[str], asked: Question, policy: str, others: Mapping[str, Says]) -> Said:
    for version in turn:
        if version in others:
            return Said(version, "embedded", others[version](asked))
    instead = f"policy {turn[0][:12]} cannot be loaded" if turn else ""
    return Said(policy, "embedded", asked.scores, instead)


class Killed(Exception):
    """The process ended before a commit."""


class Busy(LocalFederation):
    lives: int | None = None  # commits until the process is killed; None: it is not

    def _commit(self, writer: str, entries: list[Entry]) -> None:
        if entries and self.lives is not None:
            self.lives -= 1
            if self.lives < 0:
                raise Killed
        super()._commit(writer, entries)

    def answers(self, manager: str, actions: Mapping[str, str]) -> None:
        """What people answered at about the same time, in one commit: a person's answer by itself costs two."""
        desk, now = self.desks[manager], self.clock.now()
        said = (desk.answer(decision, action, {}, "ada", "", now)[1] for decision, action in actions.items())
        self._commit(manager, [entry for entries in said for entry in entries])
        self.settle()

    def resume(self) -> None:
        """Fold what is on record, and go on with what it calls for."""
        for record in self.store.read():
            self._cursor = record.header.seq
            for name, desk in self.desks.items():
                header = record.header
                if header.writer == name or hears(desk.manager, header.kind, header.point, record.body):
                    desk.absorb(record)
        for name, desk in self.desks.items():
            self._commit(name, desk.settle(self.clock.now()))
        self.settle()


@contextmanager
def several(make: "Callable[..., Works]") -> "Iterator[Callable[..., Works]]":
    """Makes works as often as it is called; all of them are closed in the end."""
    with ExitStack() as stack:
        yield lambda *words: stack.enter_context(closing(make(*words)))


class Works:
    """The plant and ULM on one ledger, in virtual time."""

    def __init__(self, folder: Path, spec: str = SPEC, *, threshold: float = 0.9, audit: float = 0.0) -> None:
        self.clock = VirtualClock()
        self.settings = Settings(state=folder)
        self.store = Store.open(f"sqlite:///{folder / 'ledger.db'}")
        self.points = {p.name: p for p in (VALVE, *ULM, APPROVAL, WITHHELD, SUPERVISION)}
        shipped = [s for m in ("ulm", "gate") for s in tiki.read_directory(shipped_specs() / m, f"{m}/")]
        self.bundle = tiki.build([*shipped, tiki.Source("plant.tiki", spec)], schemas(self.points))
        self.tier = Tier({POLICY: Calibration(POLICY, "data", {VALVE.name: calibration(threshold)})}, audit=audit)
        doers: dict[str, Doer] = {
            "valve.turn": Turn(),
            calibration_.EXECUTOR: calibration_.Recalibrate(self.store),
            promotion.EXECUTOR: promoting.Promote(self.settings),
        }
        self.executor = Executor(folder / "effects.db", doers, self.clock, FreezeFlag(folder))
        self.ulm = Ulm(self.settings, self.store, self.points)
        self.federation = self._federation()
        self._count = 0

    def _federation(self) -> Busy:
        nodes = {"@ulm": self.executor, "valve": self.executor}
        managers = [Plant(self.settings), self.ulm]
        return Busy(managers, self.bundle, self.store, self.clock, self.settings, nodes, self.tier)

    def close(self) -> None:
        self.executor.close()
        self.store.close()

    def mode(self, action: str, mode: str) -> None:
        self.federation.note(Emission(Kind.MODE, "", "", "", Mode(action, mode, "tests")))

    def ask(
        self,
        questions: Sequence[Question],
        draw: Callable[[], float],
        policy: str = POLICY,
        *,
        subjects: Sequence[str] = ("valve",),
        others: Mapping[str, Says] = MappingProxyType({}),
    ) -> list[str]:
        """Ids of as many decisions, each with the word on record of the policy whose turn it is. draw: uniform in
        [0, 1). others: by version, what a policy of the store says, in the shadow too; one that is missing cannot be
        loaded, and `policy` speaks instead."""
        events = []
        for number, _ in enumerate(questions):
            self._count += 1
            subject = subjects[number % len(subjects)]
            events.append(Event(f"m{self._count}", "test", "plant.measured", subject, None, {"pressure": 80}))
        asked = [replies[0].id for replies in self.federation.post(events) if isinstance(replies, list)]
        consults, about = self.federation.consults(), dict(zip(asked, questions, strict=True))
        heard = {}
        for decision, one in about.items():
            consult = consults[decision]
            said = _said(consult.turn.policies, one, policy, others)
            heard[decision] = Heard(consult.offered, said, draw(), "", draw(), consult.turn)
        self.federation.hear(heard)
        shadows = self.federation.shadows()
        self.federation.overhear({d: _said(shadows[d].turn.policies, about[d], policy, others) for d in shadows})
        return asked

    def answer(self, answers: Mapping[str, Question]) -> None:
        """People answer these decisions rightly."""
        actions = {decision: VALVE.schema.actions[one.right].name for decision, one in answers.items()}
        self.federation.answers("plant", actions)

    def scored(self, decisions: Sequence[str]) -> list[Scored]:
        found = []
        for decision in decisions:
            (record,) = [r for r in self.store.decision(decision) if r.header.kind == Kind.SCORED]
            found.append(decode(Kind.SCORED, record.body))
        return found

    def records(self, kind: Kind, *points: str) -> list[Record]:
        return list(self.store.read(kinds=[kind], points=points))

    def restart(self) -> None:
        """The process ended; its successor begins with what is on record."""
        self.ulm = Ulm(self.settings, self.store, self.points)
        self.federation = self._federation()
        self.federation.resume()

    def failed(self, decision: str) -> None:
        """What was released comes to nothing."""
        self.federation.outcome(decision, Outcome("failed", "stuck", reward=0.0))

    def came(self, decision: str, reward: float) -> None:
        """This came of what was released."""
        self.federation.outcome(decision, Outcome("done", reward=reward))

    def restarted(self) -> dict[str, Desk]:
        """Desks built anew from the ledger alone."""
        managers = (Plant(self.settings), Ulm(self.settings, self.store, self.points))
        desks = {one.name: Desk(one, self.bundle, self.store, self.tier) for one in managers}
        for record in self.store.read():
            for name, desk in desks.items():
                header = record.header
                if header.writer == name or hears(desk.manager, header.kind, header.point, record.body):
                    desk.absorb(record)
        return desks

    def minutes(self, count: int) -> None:
        for _ in range(count):
            self.clock.advance(60)
            self.federation.tick()


def chosen(scored: Scored) -> str:
    """The action that the policy took."""
    return VALVE.schema.actions[taken(scored)].name
