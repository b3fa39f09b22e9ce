"""The learning manager: watches figures and decisions, compares components, and suggests. It changes nothing."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from federation.errors import Refused
from federation.manager import Manager
from federation.points import DecisionPoint
from federation.records import Answered, Candidate, Entry, Event, Kind, Outcome, Record
from federation.settings import Settings
from managers.ulm.comparison import compare
from managers.ulm.points import ADVICE, OPTIMISATION, PATTERNS, POINTS, SUGGESTION
from managers.ulm.profile import profile_changes, profile_facts
from managers.ulm.series import STEP, Finding, Watch

MEASURED, FOUND = SUGGESTION.events
SOURCE = "elias/ulm"

FIGURES = ("cpu", "memory", "gpu", "disk")
NEWEST = 200  # records read for a sample of the decisions
ENOUGH = 20  # decisions of a point in a sample before its share means something
KEPT = 50  # suggestions that a view shows
MOST = 10_000  # timings of one side of a comparison

Newest = Callable[[int, Kind], Sequence[Record]]
"""The newest records of a kind, at most so many."""


class Suggestion(msgspec.Struct, frozen=True):
    decision: str
    subject: str
    what: str
    text: str
    confidence: float | None


class UlmState(msgspec.Struct):
    suggestions: list[Suggestion] = []


class Measured(msgspec.Struct, frozen=True):
    """Timings of a component in one unit, before (`baseline`) and now; one number each is enough to see a difference
    and too little to be sure of it."""

    baseline: list[float] | float
    current: list[float] | float
    stage: int | None = None
    baseline_stage: int | None = None
    pattern: str | None = None


class Ulm(Manager):
    """newest: reads the ledger; without it the decisions are not watched."""

    name = "ulm"
    points = POINTS
    State = UlmState
    state: UlmState

    def __init__(self, settings: Settings, newest: Newest | None = None) -> None:
        super().__init__(settings)
        self.newest = newest
        self.watch = Watch()
        self._sampled = 0

    # -- what is watched ---------------------------------------------------------------------------------------------

    def observe(self, report: Mapping[str, Any], now: int) -> Iterator[Event]:
        node = str(report["node"])
        for kind in FIGURES:
            value = report.get(kind)
            if value is not None:
                yield from (_event(found, now) for found in self.watch.add(node, kind, float(value), now))

    def due(self, now: int) -> Iterator[Event]:
        """Once a minute, a look at the newest decisions and outcomes: at thousands a second a sample has to do."""
        if self.newest is None or now - self._sampled < STEP:
            return
        self._sampled = now
        undecided = _shares(self.newest(NEWEST, Kind.ANSWERED), _ANSWERED, lambda body: body.tier != "rule")
        failed = _shares(self.newest(NEWEST, Kind.OUTCOME), _OUTCOME, lambda body: body.status != "done")
        for kind, shares in (("undecided", undecided), ("failed", failed)):
            for point, share in shares.items():
                yield from (_event(found, now) for found in self.watch.add(point, kind, share, now))

    # -- facts and candidates ----------------------------------------------------------------------------------------

    def facts(self, point: DecisionPoint, event: Event, now: int) -> Mapping[str, Any]:
        if point is OPTIMISATION:
            return profile_facts(event)
        return _measured_facts(event) if event.type == MEASURED else event.data

    def propose(self, point: DecisionPoint, event: Event, facts: Mapping[str, Any]) -> list[Candidate]:
        if point is OPTIMISATION:
            return [*profile_changes(event), Candidate("hold")]
        return [
            *(
                Candidate("suggest", {"what": what, "text": ADVICE[what], "confidence": facts.get("confidence")})
                for what in _advice(facts)
            ),
            Candidate("hold"),
        ]

    # -- state and view ----------------------------------------------------------------------------------------------

    def fold(self, entry: Entry, body: Any) -> None:
        if entry.kind == Kind.ANSWERED and entry.point == SUGGESTION.name and body.action == "suggest":
            args = body.args
            made = Suggestion(entry.decision, entry.subject, args["what"], args["text"], args["confidence"])
            self.state.suggestions = [*self.state.suggestions[1 - KEPT :], made]

    def view(self, now: int) -> dict[str, Any]:
        """suggestions: the newest first, confidence in percent. series: watched now. left_out: samples without room."""
        return {
            "suggestions": [msgspec.to_builtins(made) for made in reversed(self.state.suggestions)],
            "series": len(self.watch),
            "left_out": self.watch.left_out,
        }


def _measured_facts(event: Event) -> dict[str, Any]:
    """Raises Refused."""
    cure = "send `baseline` and `current`, each a timing or a list of them in one unit; `stage` and `pattern` if known"
    place = f"event {event.id}: data"
    if not event.subject:
        raise Refused("no-subject", "a measurement is of a component", place=f"event {event.id}", cure="set `subject`")
    try:
        measured = msgspec.convert(event.data, Measured)
    except msgspec.ValidationError as error:
        raise Refused("bad-measurement", str(error), place=place, cure=cure) from None
    baseline, current = _timings(measured.baseline), _timings(measured.current)
    if not 0 < len(baseline) <= MOST or not 0 < len(current) <= MOST:
        raise Refused("bad-measurement", f"each side has 1 to {MOST:,} timings", place=place, cure=cure)
    if min(*baseline, *current) < 0:
        raise Refused("bad-measurement", "a timing is negative", place=place, cure=cure)
    found = compare(baseline, current)
    facts: dict[str, Any] = {
        "finding": "regression",
        "score": None,
        "magnitude": found.slower,
        "samples": found.samples,
        "duration": None,
        "kind": "component",
        "stage": measured.stage,
        "pattern": measured.pattern,
    }
    return facts if found.confidence is None else {**facts, "confidence": found.confidence}


def _timings(given: list[float] | float) -> list[float]:
    return given if isinstance(given, list) else [given]


def _advice(facts: Mapping[str, Any]) -> list[str]:
    match facts.get("finding"):
        case "regression":
            known = PATTERNS.get(str(facts.get("pattern")))
            return [known, "look_at_slowdown"] if known else ["look_at_slowdown"]
        case "drift":
            return ["look_at_level"]
        case "anomaly":
            return ["look_at_spike"]
    return []


def _event(found: Finding, now: int) -> Event:
    subject = f"{found.subject}/{found.kind}"
    data = {name: value for name, value in found._asdict().items() if name != "subject"}
    return Event(
        f"{subject} {found.finding} {now}", SOURCE, FOUND, subject, None, {**data, "stage": None, "pattern": None}
    )


_ANSWERED = msgspec.json.Decoder(Answered)
_OUTCOME = msgspec.json.Decoder(Outcome)


def _shares(records: Sequence[Record], decoder: Any, holds: Callable[[Any], bool]) -> dict[str, float]:
    """By point with enough records: the percentage for which `holds`."""
    all_, those = Counter[str](), Counter[str]()
    for record in records:
        all_[record.header.point] += 1
        those[record.header.point] += holds(decoder.decode(record.body))
    return {point: 100.0 * those[point] / count for point, count in sorted(all_.items()) if count >= ENOUGH}
