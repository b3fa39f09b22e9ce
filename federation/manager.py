"""What a manager is: its decision points, the facts and candidates it knows, and the state it folds from the log.

A manager's state changes by records alone. It never writes, calls or sleeps: the desk asks it, the host commits,
executors act.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import msgspec

from federation.points import DecisionPoint
from federation.records import Answered, Asked, Candidate, Entry, Event, Kind, of_case
from federation.settings import Settings


class Follow(NamedTuple):
    """Records of other writers that a manager folds too: of this kind, and of this point unless it is empty. cases: of
    these only what may concern a case; of all points."""

    kind: Kind
    point: str = ""
    cases: bool = False

    def matches(self, kind: str, point: str, body: bytes) -> bool:
        return kind == self.kind and self.point in ("", point) and (not self.cases or of_case(kind, body))


class Target(NamedTuple):
    """Where an effect acts, the blast-radius groups that it counts against, and what its executor needs beside the
    arguments.
    """

    node: str
    groups: list[str]
    payload: Mapping[str, Any] = MappingProxyType({})


class Emission(NamedTuple):
    kind: Kind
    point: str
    subject: str
    decision: str
    body: msgspec.Struct


class Manager:
    """Base of the managers; the methods below are the questions that the desk asks.

    A subclass sets `name`, `points`, and `State` (a msgspec Struct with defaults that holds everything that must
    outlive the process).
    """

    name: ClassVar[str]
    points: ClassVar[tuple[DecisionPoint, ...]]
    follows: ClassVar[tuple[Follow, ...]] = ()
    State: ClassVar[type[msgspec.Struct]]

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.options: Mapping[str, Mapping[str, Any]] = {}  # by point: what the specs in force set; the desk keeps it
        self.state: Any = self.State()

    def dump(self) -> msgspec.Struct:
        """The state as a value of `State`, for a snapshot."""
        state: msgspec.Struct = self.state
        return state

    def load(self, state: Any) -> None:
        """The state from a snapshot's value."""
        self.state = state

    def facts(self, point: DecisionPoint, event: Event, now: int) -> Mapping[str, Any]:
        """The facts for this event: a missing key is unknown, None is absent; numbers in canonical units or text with
        a unit.
        """
        return event.data

    def propose(self, point: DecisionPoint, event: Event, facts: Mapping[str, Any]) -> list[Candidate]:
        """The candidates, in a fixed order with fixed ties, at most 16."""
        return list(_bare_candidates(point))

    def fold(self, entry: Entry, body: Any) -> None:
        """Take a record, its own or a followed one, into the state. Uses nothing but the record."""

    def react(self, entry: Entry, body: Any) -> Iterable[Event]:
        """Events for its own points that this record raises. Ids must follow from the record, so that a repeat is
        recognised.
        """
        return ()

    def emit(self, now: int) -> Iterable[Emission]:
        """Records that the state calls for beside decisions (the gate's verdicts). Called until it gives none."""
        return ()

    def due(self, now: int) -> Iterable[Event]:
        """Events that the passing of time raises, called at every tick."""
        return ()

    def wake(self) -> int | None:
        """Ledger time (ns) at which `due` wants to be called; None: no sooner than the next regular tick."""
        return None

    def observe(self, report: Mapping[str, Any], now: int) -> Iterable[Event]:
        """A node agent's report. Raw telemetry is not on the log; an event returned is decided only if it changes
        what is in force.
        """
        return ()

    def view(self, now: int) -> dict[str, Any]:
        """What people are shown of the state, as plain data."""
        return {}

    def target(self, point: DecisionPoint, asked: Asked, answered: Answered) -> Target:
        """Where the chosen action acts: by default the node that its arguments or the subject name."""
        node = str(answered.args.get("node", asked.event.subject))
        return Target(node, [f"node:{node}"])


EVERYBODYS = (Kind.MODE, Kind.FREEZE, Kind.CALIBRATION, Kind.PROMOTION)
"""Kinds of records that every manager folds, whoever wrote them."""


def hears(manager: Manager, kind: str, point: str, body: bytes) -> bool:
    """Whether a manager folds a record that another writer made: one that is for everybody, an effect or outcome at one
    of its own points, what it follows.
    """
    if kind in EVERYBODYS:
        return True
    if kind in (Kind.EFFECT, Kind.OUTCOME) and any(p.name == point for p in manager.points):
        return True
    return any(f.matches(kind, point, body) for f in manager.follows)


_BARE: dict[str, tuple[Candidate, ...]] = {}


def _bare_candidates(point: DecisionPoint) -> tuple[Candidate, ...]:
    if point.name not in _BARE:
        _BARE[point.name] = tuple(Candidate(action.name) for action in point.schema.actions)
    return _BARE[point.name]
