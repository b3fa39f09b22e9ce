"""The desk of one manager: every event becomes a decision here, every record is folded here.

The desk folds a record as soon as it has made it and hands it to the appender; nobody outside sees the result before
the commit. If the commit fails, the desk is thrown away and built anew from the ledger, so state never outlives a
record that did not happen.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

import msgspec

import tiki
from federation.advisors.question import Advice, Question, spec_of
from federation.advisors.settings import NOBODY, AdvisorSettings
from federation.answering import Answering
from federation.asking import Asking
from federation.cases import Case, Cases
from federation.counsel import Counsel, CounselState, Heard
from federation.errors import Bug, Refused
from federation.figures import Figures
from federation.manager import Manager
from federation.points import DecisionPoint
from federation.policy.promotions import Promotion
from federation.policy.tier import Consult, Said, Tier
from federation.records import (
    Advised,
    Answered,
    Asked,
    Drift,
    Effect,
    Entry,
    Event,
    Kind,
    Mode,
    Recalibrated,
    Record,
    Scored,
    decode,
    encode,
)
from federation.replies import Rejected, Reply, reply_of
from federation.situation import Situations
from tiki import Latch

SUBJECTS = 20_000  # of a point, of which the desk knows that it has looked at them before


class Work(NamedTuple):
    """entries: to be committed together, in order. replies: one list per event, in the order of the events."""

    entries: list[Entry]
    replies: list[list[Reply] | Rejected]


class DeskState(msgspec.Struct):
    """By point: the latches by subject, the modes by action, and when a subject that the manager itself noticed was
    first decided about. cases: by decision."""

    looked: dict[str, dict[str, int]] = {}
    latches: dict[str, dict[str, Latch]] = {}
    cases: dict[str, Case] = {}
    modes: dict[str, dict[str, str]] = {}
    counsel: CounselState = msgspec.field(default_factory=CounselState)


class Ledger(Protocol):
    """What a desk reads of the ledger."""

    def known(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        """Bodies of the asked records (attempt 0) of those decision ids that exist."""
        ...

    def decision(self, decision: str) -> list[Record]:
        """All records of a decision, in order."""
        ...


_Identified = list[tuple[DecisionPoint, str]]  # the points that an event asks, with the decision's id at each


class Desk:
    def __init__(
        self,
        manager: Manager,
        bundle: tiki.Bundle,
        ledger: Ledger,
        tier: Tier | None = None,
        figures: Figures | None = None,
        advisors: AdvisorSettings = NOBODY,
    ) -> None:
        """tier: the policy; advisors: who is asked after it. Without both what a spec leaves open waits for a person at
        once."""
        self.manager = manager
        self.ledger = ledger
        self.figures = figures or Figures()
        self.points: dict[str, DecisionPoint] = {p.name: p for p in manager.points}
        self.by_type: dict[str, tuple[DecisionPoint, ...]] = {}
        for point in manager.points:
            for kind in (point.name, *point.events):
                self.by_type[kind] = (*self.by_type.get(kind, ()), point)
        self.state = DeskState(modes={p.name: {a: d.mode.value for a, d in p.effects.items()} for p in manager.points})
        self.cases = Cases(self.state.cases)
        self.counsel = Counsel(tier, self.state.counsel, advisors)
        self.recent: OrderedDict[str, tuple[Event, Reply]] = OrderedDict()
        self.situations = Situations(manager)
        self.asking = Asking(self)
        self._answering = Answering(self)
        self._folds: Mapping[str, Callable[[Entry, Any], None]] = {
            Kind.ASKED: self._fold_asked,
            Kind.SCORED: self._fold_scored,
            Kind.ADVISED: self._fold_advised,
            Kind.ANSWERED: self._fold_answered,
            Kind.DRIFT: self._fold_drift,
            Kind.CALIBRATION: self._fold_calibration,
            Kind.PROMOTION: self._fold_promotion,
            Kind.MODE: self._fold_mode,
            Kind.EFFECT: self._fold_effect,
        }
        self._entries: list[Entry] = []
        self._raised: deque[Event] = deque()
        self.use(bundle)

    # -- specs -------------------------------------------------------------------------------------------------------

    def use(self, bundle: tiki.Bundle) -> None:
        """Put a bundle in force for the next event."""
        self.bundle = bundle
        self.programs = {name: bundle.programs[name] for name in self.points}
        self.manager.options = {name: program.settings for name, program in self.programs.items()}
        self.situations.use(self.programs)

    # -- deciding ----------------------------------------------------------------------------------------------------

    def handle(self, events: Sequence[Event], now: int) -> Work:
        """Decide these events. Each is asked at every point that its type names; a repeat gets the first answer
        again.
        """
        identified = [self._identified(event) for event in events]
        known = self._known(identified)
        replies = [self._handle(event, at, now, known) for event, at in zip(events, identified, strict=True)]
        self.drain(now)
        return Work(self._taken(), replies)

    @property
    def owes(self) -> bool:
        """Whether an absorbed record raised something that is not decided yet."""
        return bool(self._raised)

    def watch(self, reports: Iterable[Mapping[str, Any]], now: int) -> list[Entry]:
        """Take node agents' reports; ask only where what is in force would change."""
        for report in reports:
            self._notice(self.manager.observe(report, now), now)
        self.drain(now)
        return self._taken()

    def follow(self, records: Iterable[Record], now: int) -> list[Entry]:
        """Fold other writers' records and decide the events that they raise."""
        for record in records:
            self.absorb(record)
        self.drain(now)
        return self._taken()

    def tick(self, now: int) -> list[Entry]:
        """Time has passed: overdue cases are answered, and what the manager finds due is decided."""
        for case in self.cases.overdue(now):
            self._answering.by_time_out(case, now)
        self._notice(self.manager.due(now), now)
        self.drain(now)
        return self._taken()

    def wake(self) -> int | None:
        """Ledger time (ns) at which a tick is wanted; None: no sooner than the next regular one."""
        times = (self.manager.wake(), self.cases.next_deadline())
        return min((t for t in times if t is not None), default=None)

    def answer(
        self, decision: str, action: str, args: Mapping[str, Any], by: str, words: str, now: int
    ) -> tuple[Reply, list[Entry]]:
        """An operator's answer to a case, checked against the state of now; it is asked again if it no longer holds.

        Raises Refused when there is no such case or the choice was not offered.
        """
        return self._answering.by_person(decision, action, args, by, words, now), self._taken()

    def report_outcomes(
        self, outcomes: Iterable[tuple[str, float, str]], by: str
    ) -> tuple[list[Refused | None], list[Entry]]:
        """What came of decisions without an effect, as somebody saw it: decision, reward (in the unit of its point,
        within its bounds), words. The first word on a decision stays. Of each: None, or why it is not taken."""
        return [self._answering.report_outcome(*outcome, by) for outcome in outcomes], self._taken()

    # -- the policy --------------------------------------------------------------------------------------------------

    @property
    def consulting(self) -> list[str]:
        """The decisions that wait for the policy, in the order in which they were asked."""
        return list(self.cases.consulting)

    def consult(self, decision: str) -> Consult:
        """What the policy is asked. Its decision is one of `consulting`."""
        case = self.cases.consulting[decision]
        return self.counsel.consult(self.points[case.point], self.programs[case.point], self._answering.asked(case))

    def hear(self, said: Mapping[str, Heard], now: int) -> tuple[list[Entry], dict[str, Reply]]:
        """Take what the policy said to some decisions: its answers, and who answers the rest. What was answered in the
        meantime is left alone.
        """
        waiting = self.cases.consulting
        replies = {d: self._answering.by_policy(waiting[d], heard, now) for d, heard in said.items() if d in waiting}
        return self._taken(), replies

    def shadows(self) -> dict[str, Consult]:
        """What challengers in the shadow are to be asked, by decision; each is told of once."""
        found = {}
        for decision, one in self.counsel.shadow.take().items():
            consult = self.counsel.in_shadow(self.programs[one.point], one.asked)
            if consult is None:
                self.counsel.shadow.heard(decision)  # its trial has ended: it takes no room from the next one
            else:
                found[decision] = consult
        return found

    def overhear(self, said: Mapping[str, Said | None], now: int) -> list[Entry]:
        """Put on record what challengers would have said to some of `shadows`; None: one did not answer."""
        for decision, one in said.items():
            overheard = self.counsel.shadow.heard(decision)
            if overheard is not None:
                made = self.counsel.overheard(self.programs[overheard.point], overheard, one, now)
                if made is not None:
                    self.add(Kind.SHADOWED, overheard.point, overheard.subject, decision, made)
        return self._taken()

    # -- advisors ----------------------------------------------------------------------------------------------------

    @property
    def advising(self) -> list[str]:
        """The decisions that wait for an advisor, in the order in which they came to wait for one."""
        return list(self.cases.advising)

    def question(self, decision: str) -> Question:
        """What an advisor is asked. Its decision is one of `advising`."""
        case = self.cases.advising[decision]
        asked, scored = self._answering.asked(case), self.state.counsel.opinions.get(decision)
        return Question(decision, case.point, case.subject, asked, scored, spec_of(self.bundle, case.point))

    def advise(self, question: Question, advice: Advice, now: int) -> tuple[list[Entry], Reply | None]:
        """Take what an advisor said: its answer, or who is to give one. None: it came too late, which is on record."""
        reply = self._answering.by_advisor(question, advice, now)
        return self._taken(), reply

    # -- folding -----------------------------------------------------------------------------------------------------

    def absorb(self, record: Record) -> None:
        """Fold a committed record, and keep the events that it raises for the next `settle`."""
        header = record.header
        self.take(Entry(header.kind, header.point, header.subject, header.decision, record.body))

    def take(self, entry: Entry) -> None:
        """Fold an entry that was committed on this writer's behalf (a person's word, an executor's outcome)."""
        self._fold(entry, decode(entry.kind, entry.body))

    def settle(self, now: int) -> list[Entry]:
        """Decide what absorbed records raised; what was decided before the restart is recognised by its id."""
        self.drain(now)
        return self._taken()

    def snapshot(self) -> bytes:
        return encode((self.state, self.manager.dump()))

    def restore(self, body: bytes) -> None:
        self.state, state = msgspec.json.decode(body, type=tuple[DeskState, self.manager.State])  # type: ignore[name-defined]
        self.manager.load(state)
        self.cases = Cases(self.state.cases)
        self.counsel = Counsel(self.counsel.tier, self.state.counsel, self.counsel.advisors)

    def _fold(self, entry: Entry, body: Any) -> None:
        fold = self._folds.get(entry.kind)
        if fold is not None and (entry.point in self.points or entry.kind == Kind.MODE):  # the rest its manager follows
            fold(entry, body)
        self.manager.fold(entry, body)
        self._raised.extend(self.manager.react(entry, body))

    def _fold_asked(self, entry: Entry, body: Asked) -> None:
        if self.points[entry.point].greets and body.event.source == f"elias/{self.manager.name}":
            looked = self.state.looked.setdefault(entry.point, {})
            looked.setdefault(entry.subject, body.at)
            if len(looked) > SUBJECTS:
                del looked[next(iter(looked))]
        latches = self.state.latches.setdefault(entry.point, {})
        if body.latched is None:
            latches.pop(entry.subject, None)
        else:
            latches[entry.subject] = body.latched
        if body.waits:
            fields = (body.attempt, body.at, body.until, body.clause, body.reason, body.waits)
            self.cases.add(Case(entry.decision, entry.point, entry.subject, *fields))
            self.counsel.fold_asked(entry.decision, body)

    def _fold_answered(self, entry: Entry, body: Answered) -> None:
        self.cases.close(entry.decision)
        self.counsel.fold_answered(entry, body)

    def _fold_scored(self, entry: Entry, body: Scored) -> None:
        self.counsel.fold_scored(entry, body)
        if body.tier in ("advisor", "operator"):
            self.cases.raise_to(entry.decision, body.tier, body.reason)

    def _fold_advised(self, entry: Entry, body: Advised) -> None:
        self.counsel.fold_advised(entry, body)
        if body.tier == "operator":
            self.cases.raise_to(entry.decision, body.tier, body.reason)

    def _fold_drift(self, entry: Entry, body: Drift) -> None:
        self.counsel.fold_drift(entry, body)

    def _fold_calibration(self, entry: Entry, body: Recalibrated) -> None:
        self.counsel.fold_calibration(entry, body)

    def _fold_promotion(self, entry: Entry, body: Promotion) -> None:
        self.counsel.fold_promotion(entry, body)

    def _fold_mode(self, entry: Entry, body: Mode) -> None:
        point, _, action = body.action.partition("/")
        if action in self.state.modes.get(point, ()):
            self.state.modes[point][action] = body.mode

    def _fold_effect(self, entry: Entry, body: Effect) -> None:
        if body.verdict == "approved":
            self._raised.append(_recheck_event(entry))

    # -- inside ------------------------------------------------------------------------------------------------------

    def _notice(self, events: Iterable[Event], now: int) -> None:
        """Decide what the manager noticed by itself, where what is in force would change."""
        for event in events:
            for point in self.by_type[event.type]:
                self.asking.ask(point, event, now, event.decision(point.name), quiet=True)

    def _identified(self, event: Event) -> _Identified:
        return [(point, event.decision(point.name)) for point in self.by_type[event.type]]

    def _known(self, identified: Iterable[_Identified]) -> Mapping[str, bytes]:
        ids = [decision for at in identified for _, decision in at if decision not in self.recent]
        return self.ledger.known(ids) if ids else {}

    def _handle(self, event: Event, at: _Identified, now: int, known: Mapping[str, bytes]) -> list[Reply] | Rejected:
        replies = []
        for point, decision in at:
            repeated = self._repeated(event, point, decision, known)
            if isinstance(repeated, Rejected):
                return repeated
            try:
                replies.append(repeated or self.asking.ask(point, event, now, decision))
            except Refused as error:
                return Rejected(422, error.code, error.message, error.place, error.cure)
        return [r for r in replies if r is not None]

    def _repeated(
        self, event: Event, point: DecisionPoint, decision: str, known: Mapping[str, bytes]
    ) -> Reply | Rejected | None:
        if decision in self.recent:
            first, reply = self.recent[decision]
        elif decision in known:
            first, reply = decode(Kind.ASKED, known[decision]).event, None
        else:
            return None
        if (first.type, first.subject, first.data) != (event.type, event.subject, event.data):
            return Rejected(
                409,
                "conflict",
                f"event `{event.id}` of `{event.source}` was sent before with another body",
                cure="give a new event a new id",
            )
        if reply is None or reply.status == "waiting":
            reply = reply_of(self.ledger.decision(decision)) or reply
        return msgspec.structs.replace(reply, duplicate=True) if reply else None

    def add(self, kind: Kind, point: str, subject: str, decision: str, body: msgspec.Struct) -> None:
        """Make a record and fold it."""
        entry = Entry(kind, point, subject, decision, encode(body), getattr(body, "attempt", 0))
        self._entries.append(entry)
        self.figures.recorded(kind, point, body)
        self._fold(entry, body)

    def drain(self, now: int) -> None:
        """Decide what folded records raised, until nothing is left."""
        busy = True
        while busy:
            while self._raised:
                event = self._raised.popleft()
                if event.type == _RECHECK:
                    self._answering.confirmed(event.id, now)
                else:
                    at = self._identified(event)
                    refused = self._handle(event, at, now, self._known([at]))
                    if isinstance(refused, Rejected):
                        raise Bug(f"{self.manager.name} raised an event that it refuses: {refused.message}")
            busy = False
            for emission in chain(self.counsel.emit(now), self.manager.emit(now)):
                self.add(*emission)
                busy = True
            busy = busy or bool(self._raised)

    def _taken(self) -> list[Entry]:
        entries, self._entries = self._entries, []
        return entries


_RECHECK = "elias.effect.recheck"


def _recheck_event(entry: Entry) -> Event:
    return Event(entry.decision, "elias", _RECHECK, entry.subject)
