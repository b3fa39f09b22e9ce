"""A manager for tests: a laboratory with a furnace (edge-triggered) and a desk that answers every request."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

import tiki
from federation.clock import VirtualClock
from federation.effects import Executor, FreezeFlag, Order
from federation.ledger.store import Store
from federation.local import LocalFederation, points_of
from federation.manager import Manager
from federation.points import DecisionPoint, Does, Mode, schemas
from federation.policy.tier import Tier
from federation.records import Candidate, Entry, Event, Kind, Outcome
from federation.settings import Settings
from tiki.schema import Action, Arg, Attribute, Fact, Point, Type

FURNACE = DecisionPoint(
    Point(
        name="lab.furnace",
        version=1,
        doc="Is the furnace too hot?",
        facts=(
            Fact(name="heat", type=Type.PERCENT, doc="of what it stands", max_age=30.0),
            Fact(name="gas", type=Type.PERCENT, doc="left in the bottle; absent for an electric one"),
        ),
        actions=(
            Action(name="cool", doc="turn it down", args=(Arg(name="by", type=Type.NAME, doc="how"),)),
            Action(name="vent", doc="open the window"),
            Action(name="hold", doc="leave it"),
        ),
        attributes=(Attribute(name="window.wind", type=Type.NUMBER, doc="m/s outside", actions=("vent",)),),
        terminal="hold",
    ),
    events=("lab.measured",),
    effects={"cool": Does("furnace.cool", Mode.ACT), "vent": Does("window.open", Mode.OBSERVE)},
    greets=True,
)

REQUEST = DecisionPoint(
    Point(
        name="lab.request",
        version=1,
        doc="May this experiment run?",
        facts=(Fact(name="danger", type=Type.PERCENT, doc="as declared"),),
        actions=(Action(name="run", doc="run it"), Action(name="hold", doc="do not")),
        terminal="hold",
        trigger="every",
    ),
    events=("lab.asked",),
    effects={"run": Does("experiment.run", Mode.APPROVE, disruptive=False)},
)

SPEC = """
## LAB Furnace Spec
- decides: lab.furnace
- fallback: request_operator
- timeout: 1m
- too_hot: when heat > 90%: cool(gently)
- warm: when heat > 70%: consult [cool, vent, hold]
- calm_only: never vent when window.wind > 20
- otherwise: hold

## LAB Request Spec
- decides: lab.request
- fallback: request_operator
- when danger > 50%: hold
- otherwise: run

## GATE Approval Spec
- decides: gate.approval
- fallback: request_operator
- otherwise: consult [approve, hold]

## GATE Withheld Spec
- decides: gate.withheld
- fallback: request_operator
- timeout: 1h
- otherwise: consult [release, hold]

## GATE Supervision Spec
- decides: gate.supervision
- fallback: request_operator
- otherwise: consult [resume, hold]
"""


class LabState(msgspec.Struct):
    outcomes: dict[str, str] = {}
    seen: int = 0


class Lab(Manager):
    name = "lab"
    points = (FURNACE, REQUEST)
    State = LabState
    state: LabState

    wind = 5.0  # telemetry: not on the log

    def facts(self, point: DecisionPoint, event: Event, now: int) -> Mapping[str, Any]:
        return event.data

    def propose(self, point: DecisionPoint, event: Event, facts: Mapping[str, Any]) -> list[Candidate]:
        if point is REQUEST:
            return [Candidate("run"), Candidate("hold")]
        return [
            Candidate("cool", {"by": "gently"}),
            Candidate("vent", {}, {"window.wind": self.wind}),
            Candidate("hold"),
        ]

    def observe(self, report: Mapping[str, Any], now: int) -> list[Event]:
        return [
            Event(
                f"{report['furnace']} {now}",
                "elias/lab",
                "lab.measured",
                report["furnace"],
                None,
                {"heat": report["heat"]},
            )
        ]

    def fold(self, entry: Entry, body: Any) -> None:
        self.state.seen += entry.kind == Kind.ASKED
        if entry.kind == Kind.OUTCOME:
            self.state.outcomes[entry.subject] = body.status


class Recorder:
    """A doer that remembers what it did."""

    def __init__(self) -> None:
        self.done: list[Order] = []

    async def do(self, order: Order) -> Outcome:
        self.done.append(order)
        return Outcome("done")

    async def probe(self, order: Order) -> Outcome:
        return Outcome("unknown", "interrupted")


def bundle(spec: str = SPEC) -> tiki.Bundle:
    return tiki.build([tiki.Source("lab.tiki", spec)], schemas(points_of([Lab])))


class Laboratory:
    """A federation of one lab on a virtual clock and a real ledger, with a node whose doers remember."""

    def __init__(
        self, folder: Path, settings: Settings | None = None, spec: str = SPEC, tier: Tier | None = None
    ) -> None:
        self.clock = VirtualClock()
        self.settings = settings or Settings(state=folder)
        self.url = f"sqlite:///{folder / 'ledger.db'}"
        self.store = Store.open(self.url)
        self.recorder = Recorder()
        self.frozen = FreezeFlag(folder)
        doers = dict.fromkeys(("furnace.cool", "window.open", "experiment.run"), self.recorder)
        self.executor = Executor(folder / "effects.db", doers, self.clock, self.frozen)
        self.lab = Lab(self.settings)
        self.federation = LocalFederation(
            [self.lab], bundle(spec), self.store, self.clock, self.settings, _AnyNode(self.executor), tier
        )

    def close(self) -> None:
        self.executor.close()
        self.store.close()

    def measured(self, heat: Any, furnace: str = "f1", id: str = "", **more: Any) -> Any:
        """The reply to one measurement."""
        self.count = getattr(self, "count", 0) + 1
        event = Event(id or f"m{self.count}", "test", "lab.measured", furnace, None, {"heat": heat, **more})
        return self._one(event)

    def asked(self, danger: Any, experiment: str = "e1", id: str = "") -> Any:
        self.count = getattr(self, "count", 0) + 1
        return self._one(Event(id or f"a{self.count}", "test", "lab.asked", experiment, None, {"danger": danger}))

    def _one(self, event: Event) -> Any:
        (replies,) = self.federation.post([event])
        return replies[0] if isinstance(replies, list) else replies

    def kinds(self, decision: str) -> list[str]:
        return [r.header.kind for r in self.store.decision(decision)]

    @property
    def cases(self) -> list[Any]:
        return [c for d in self.federation.desks.values() for c in d.state.cases.values()]


class _AnyNode(dict[str, Executor]):
    """Every node has the same executor."""

    def __init__(self, executor: Executor) -> None:
        super().__init__()
        self.executor = executor

    def get(self, node: str, default: Any = None) -> Any:
        return self.executor
