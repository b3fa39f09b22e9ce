"""The learning manager: watches figures and decisions, compares components, and suggests. All that it changes is how
sure a policy has to be, where that no longer kept its promise, and which policy answers, after a trial.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from federation.clock import SECOND
from federation.errors import Refused
from federation.manager import Emission, Follow, Manager, Target
from federation.points import DecisionPoint
from federation.policy.evidence import Evidence, Records
from federation.records import Answered, Asked, Candidate, Entry, Event, Kind, Outcome, Recalibrated, Record
from federation.settings import Settings
from managers.ulm.calibration import Collected, Lapse, candidate, changes, facts, lapse_of, subject_of
from managers.ulm.comparison import compare
from managers.ulm.points import ADVICE, CALIBRATION, OPTIMISATION, PATTERNS, POINTS, SUGGESTION
from managers.ulm.profile import profile_changes, profile_facts
from managers.ulm.promotion import PROMOTION
from managers.ulm.series import STEP, Finding, Watch
from managers.ulm.trainer import payload
from managers.ulm.training import FOLLOWS, Training
from managers.ulm.training_facts import Asking, candidates
from managers.ulm.training_points import BASE
from managers.ulm.training_points import POINTS as TRAINING
from managers.ulm.trials import Trials, TrialsState

MEASURED, FOUND = SUGGESTION.events
SOURCE = "elias/ulm"

FIGURES = ("cpu", "memory", "gpu", "disk")
NEWEST = 200  # records read for a sample of the decisions
ENOUGH = 20  # decisions of a point in a sample before its share means something
KEPT = 50  # suggestions that a view shows
MOST_TOLD = 1_000  # suggestions of which it is known when they were made
MOST = 10_000  # timings of one side of a comparison


class Suggestion(msgspec.Struct, frozen=True):
    decision: str
    subject: str
    what: str
    text: str
    confidence: float | None


class UlmState(msgspec.Struct):
    """By subject: lapses, where a policy's promise is broken; fitted, calibrations not yet put in force, with the
    decision that made each. told: when something was suggested last, by subject and suggestion; asked: when a
    suggestion was last in question, ledger time, ns."""

    told: dict[str, int] = {}
    asked: int = 0
    suggestions: list[Suggestion] = []
    lapses: dict[str, Lapse] = {}
    fitted: dict[str, tuple[str, Recalibrated]] = {}
    training: Training = msgspec.field(default_factory=Training)
    trials: TrialsState = msgspec.field(default_factory=TrialsState)


class Measured(msgspec.Struct, frozen=True):
    """Timings of a component in one unit, before (`baseline`) and now; one number each is enough to see a difference
    and too little to be sure of it."""

    baseline: list[float] | float
    current: list[float] | float
    stage: int | None = None
    baseline_stage: int | None = None
    pattern: str | None = None


class Ulm(Manager):
    """store: reads the ledger; without it the decisions are not watched, and nothing is calibrated or tried.
    all_points: of the federation, by name: at any of them a policy may be tried."""

    name = "ulm"
    points = POINTS
    follows: ClassVar[tuple[Follow, ...]] = (Follow(Kind.DRIFT), *FOLLOWS)
    State = UlmState
    state: UlmState

    def __init__(
        self, settings: Settings, store: Records | None = None, all_points: Mapping[str, DecisionPoint] | None = None
    ) -> None:
        super().__init__(settings)
        self.store = store
        self.collected = None if store is None else Collected(store)
        self.trials = Trials(store, all_points or {}, round(settings.policy.unit * SECOND))
        self.asking = Asking(settings.policy)
        self.watch = Watch()
        self._sampled = 0

    # -- what is watched ---------------------------------------------------------------------------------------------

    def observe(self, report: Mapping[str, Any], now: int) -> Iterator[Event]:
        node = str(report["node"])
        self.asking.observe(node, report)
        for kind in FIGURES:
            value = report.get(kind)
            if value is not None:
                yield from self._news(self.watch.add(node, kind, float(value), now), now)

    def due(self, now: int) -> Iterator[Event]:
        """Once a minute, a look at the newest decisions and outcomes, for at thousands a second a sample has to do; and
        at the points where a policy's promise is broken."""
        if self.store is None or now - self._sampled < STEP:
            return
        self._sampled = now
        for subject in self.state.lapses:
            yield Event(f"{subject} {now}", SOURCE, CALIBRATION.events[0], subject)
        yield from self.state.training.aged(now, SOURCE)
        yield from self.trials.due(self.state.trials, SOURCE, now)
        undecided = _shares(self.store.latest(NEWEST, kinds=[Kind.ANSWERED]), _ANSWERED, lambda a: a.tier != "rule")
        failed = _shares(self.store.latest(NEWEST, kinds=[Kind.OUTCOME]), _OUTCOME, lambda body: body.status != "done")
        for kind, shares in (("undecided", undecided), ("failed", failed)):
            for point, share in shares.items():
                yield from self._news(self.watch.add(point, kind, share, now), now)

    def _news(self, found: Iterator[Finding], now: int) -> Iterator[Event]:
        """What was not suggested lately: a level that moves all the time is news once."""
        again = round(float(self.options[SUGGESTION.name]["repeat_after"]) * SECOND)
        for one in found:
            event = _event(one, now)
            times = [self.state.told.get(f"{event.subject} {what}") for what in _advice(event.data)]
            if not any(time is not None and now - time < again for time in times):
                yield event

    # -- facts and candidates ----------------------------------------------------------------------------------------

    def facts(self, point: DecisionPoint, event: Event, now: int) -> Mapping[str, Any]:
        if point is CALIBRATION:
            lapse = lapse_of(self.state.lapses, event)
            return facts(lapse, self._evidence(lapse), now)
        if point is PROMOTION:
            broken = event.subject in self.state.lapses
            return self.trials.facts(self.state.trials, event, broken=broken, now=now)
        if point in TRAINING:
            return self.asking.facts(point, event, self.state.training, self.state.lapses, now)
        if point is OPTIMISATION:
            return profile_facts(event)
        return _measured_facts(event) if event.type == MEASURED else event.data

    def propose(self, point: DecisionPoint, event: Event, facts: Mapping[str, Any]) -> list[Candidate]:
        if point is CALIBRATION:
            return [candidate(lapse_of(self.state.lapses, event)), Candidate("hold")]
        if point is PROMOTION:
            return self.trials.propose(self.state.trials, event)
        if point in TRAINING:
            return candidates(point, facts)
        if point is OPTIMISATION:
            return [*profile_changes(event), Candidate("hold")]
        return [
            *(
                Candidate("suggest", {"what": what, "text": ADVICE[what], "confidence": facts.get("confidence")})
                for what in _advice(facts)
            ),
            Candidate("hold"),
        ]

    def target(self, point: DecisionPoint, asked: Asked, answered: Answered) -> Target:
        """ULM does it itself, on the records that the decision was made on."""
        if point is PROMOTION:
            return self.trials.target(self.state.trials, asked, answered)
        if point is BASE:
            policy = self.state.training.watched.get(asked.event.subject)
            version = "" if policy is None else policy.version
            changed = changes(self.state.lapses.values(), version)
            return Target("@ulm", [], payload(asked, self.options[BASE.name], version, changed))
        evidence = self._evidence(self.state.lapses[asked.event.subject])
        return Target("@ulm", [], {"after": evidence.after, "upto": evidence.upto})

    def _evidence(self, lapse: Lapse) -> Evidence:
        if self.collected is None:
            raise Refused("no-ledger", "the ledger cannot be read here", cure="ask a cluster that runs")
        return self.collected.of(lapse)

    # -- state and view ----------------------------------------------------------------------------------------------

    def fold(self, entry: Entry, body: Any) -> None:
        self.state.training.fold(entry, body)
        if entry.kind == Kind.ASKED and entry.point == SUGGESTION.name:
            self.state.asked = body.at
        elif entry.kind == Kind.ANSWERED and entry.point == SUGGESTION.name and body.action == "suggest":
            args = body.args
            self._fold_told(f"{entry.subject} {args['what']}")
            made = Suggestion(entry.decision, entry.subject, args["what"], args["text"], args["confidence"])
            self.state.suggestions = [*self.state.suggestions[1 - KEPT :], made]
        elif entry.kind == Kind.DRIFT:
            lapse = Lapse(entry.point, body, body.calibration)
            self.state.lapses[lapse.subject] = lapse
        elif entry.kind == Kind.OUTCOME and entry.point == CALIBRATION.name and "calibration" in body.data:
            found = msgspec.convert(body.data["calibration"], Recalibrated)
            self.state.fitted[entry.subject] = entry.decision, found
        elif entry.kind == Kind.CALIBRATION:
            self._fold_calibration(subject_of(entry.point, body.policy), body)
        else:
            self.trials.fold(self.state.trials, entry, body)

    def react(self, entry: Entry, body: Any) -> Iterator[Event]:
        yield from self.state.training.follow_up(entry, body, SOURCE)

    def _fold_told(self, what: str) -> None:
        self.state.told[what] = self.state.asked
        if len(self.state.told) > MOST_TOLD:
            del self.state.told[min(self.state.told, key=self.state.told.__getitem__)]

    def _fold_calibration(self, subject: str, found: Recalibrated) -> None:
        self.state.fitted.pop(subject, None)
        lapse = self.state.lapses.pop(subject, None)
        if lapse is not None and not found.enough:
            self.state.lapses[subject] = lapse.after(found)

    def emit(self, now: int) -> Iterator[Emission]:
        """A calibration that was made is put in force: from this record on every manager goes by it. So is a step of a
        trial."""
        yield from self.trials.emit(self.state.trials)
        for subject, (decision, found) in list(self.state.fitted.items()):
            lapse = self.state.lapses.get(subject)
            if lapse is None:
                del self.state.fitted[subject]
            else:
                yield Emission(Kind.CALIBRATION, lapse.point, subject, decision, found)

    def view(self, now: int) -> dict[str, Any]:
        """suggestions: the newest first, confidence in percent. series: watched now. left_out: samples without room.
        lapsed: where a policy decides nothing alone since its promise broke; used: answers in its last calibration.
        trials: see `Trials.view`."""
        return {
            "suggestions": [msgspec.to_builtins(made) for made in reversed(self.state.suggestions)],
            "series": len(self.watch),
            "left_out": self.watch.left_out,
            **self.state.training.view(now),
            "lapsed": [msgspec.to_builtins(lapse) for lapse in self.state.lapses.values()],
            "trials": self.trials.view(self.state.trials, now),
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
