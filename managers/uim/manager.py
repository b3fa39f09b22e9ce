"""UIM: the book of cases, and its own decisions: which addresses are still listened to, how far a new version goes, and
whether a machine is started anew.
"""

import ipaddress
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from federation.clock import SECOND
from federation.errors import Refused
from federation.gate import Gate
from federation.manager import Emission, Follow, Manager, Target
from federation.points import DecisionPoint
from federation.records import Answered, Asked, Candidate, CaseWord, Entry, Event, Kind
from federation.settings import Settings
from managers.uim.cases import claims
from managers.uim.cases.book import Book, BookState
from managers.uim.cases.case import Group
from managers.uim.cases.claims import CaseUpdate
from managers.uim.cases.deadlines import Deadlines
from managers.uim.cases.escalation import ELIAS, Call, next_call, next_remark, remark
from managers.uim.points import ACCESS, POINTS, RESTART, ROLLOUT
from managers.uim.rollout import rollout_candidates
from tiki.schema import Type
from tiki.values import canonical

WINDOW = 60 * SECOND
COUNTED = 30 * SECOND  # for which a count of jobs is good: nobody holds new ones back meanwhile
ADDRESSES = 1000  # addresses whose failures are remembered; the longest silent one is forgotten first
FAILURES = 100  # failures remembered of an address: far more than any limit that makes sense


class UimState(msgspec.Struct):
    """blocked: addresses that are not listened to. doing: effects under way, decision -> action. book: of cases."""

    blocked: list[str] = []
    doing: dict[str, str] = {}
    book: BookState = msgspec.field(default_factory=BookState)


class Uim(Manager):
    name = "uim"
    points = POINTS
    follows: ClassVar[tuple[Follow, ...]] = (
        *(Follow(kind, cases=True) for kind in (Kind.ASKED, Kind.SCORED, Kind.ADVISED, Kind.ANSWERED)),
        Follow(Kind.CASE),
    )
    State = UimState
    state: UimState

    def __init__(self, settings: Settings, house: Mapping[str, DecisionPoint] | None = None) -> None:
        """house: every decision point whose cases are looked after; none: those of UIM and of the gate."""
        super().__init__(settings)
        self.house = house or {point.name: point for point in (*POINTS, *Gate.points)}
        self._open_book()
        self.failures: OrderedDict[str, deque[int]] = OrderedDict()  # times (ns) of wrong tokens, in memory alone

    def load(self, state: UimState) -> None:
        super().load(state)
        self._open_book()

    def _open_book(self) -> None:
        self.book = Book(self.state.book, self.settings.escalation, self.house)
        self._remarks, self.calls = Deadlines(), Deadlines()
        for group in self.book.state.groups.values():
            self._watch(group)

    def facts(self, point: DecisionPoint, event: Event, now: int) -> dict[str, Any]:
        if point is ROLLOUT:
            return event.data
        if point is RESTART:
            told = {fact.name: event.data[fact.name] for fact in RESTART.schema.facts}
            fresh = now - event.data["counted"] <= COUNTED
            return told if fresh else {**told, "jobs": None}  # what nobody knows forbids it, where it is the head
        address = event.subject
        recent = [at for at in self.failures.get(address, ()) if at > now - WINDOW]
        return {
            "failures": len(recent) / 60,
            "blocked": address in self.state.blocked,
            "loopback": is_loopback(address),
        }

    def propose(self, point: DecisionPoint, event: Event, facts: Mapping[str, Any]) -> list[Candidate]:
        if point is not ROLLOUT:
            return super().propose(point, event, facts)
        share = canonical(Type.PERCENT, facts.get("share"))
        return rollout_candidates(share if isinstance(share, float) else None)

    def observe(self, report: Mapping[str, Any], now: int) -> Iterable[Event]:
        """`{"refused": address}` from the guard of the API; nodes report to others."""
        return [self._refused(str(report["refused"]), now)] if "refused" in report else ()

    def due(self, now: int) -> Iterable[Event]:
        """Addresses that fell silent, so that what was in force for them ends."""
        for address in {*self.failures, *self.state.blocked}:
            times = self.failures.get(address)
            while times and times[0] <= now - WINDOW:
                times.popleft()
            if not times:
                self.failures.pop(address, None)
            yield _event(address, now)

    def fold(self, entry: Entry, body: Any) -> None:
        group = self.book.fold(entry, body)
        if group is not None:
            self._watch(group)
        if entry.point != ACCESS.name:
            return
        if entry.kind == Kind.ANSWERED:
            self.state.doing[entry.decision] = body.action
            if body.mode in ("", "observe"):
                del self.state.doing[entry.decision]
        elif entry.kind == Kind.OUTCOME:
            action = self.state.doing.pop(entry.decision, "")
            if action and body.status == "done":  # of what is not being done anybody may say what came of it
                others = [a for a in self.state.blocked if a != entry.subject]
                self.state.blocked = [*others, entry.subject] if action == "block" else others

    # -- cases -------------------------------------------------------------------------------------------------------

    def emit(self, now: int) -> Iterable[Emission]:
        """What ELIAS itself has to say of cases by now."""
        for id in self._remarks.pop(now):
            group = self.book.state.groups[id]
            due = next_remark(self.settings.escalation, group)
            if due is not None:
                yield _of_group(group, remark(group, due[1], now))

    def wake(self) -> int | None:
        return min((at for at in (self._remarks.next(), self.calls.next()) if at is not None), default=None)

    def say(self, said: CaseUpdate, now: int) -> Emission:
        """A person's word, for the record. Raises Refused, or Conflict where somebody else was first."""
        group = self.book.group(said.case)
        if said.what == "late":
            word = CaseWord("late", said.by, now, words=said.words, action=said.action, args=said.args)
            return Emission(Kind.CASE, group.point if group else "", "", said.case, word)
        if group is None:
            cure = "`elias cases` lists the open ones; it may have been answered or timed out"
            raise Refused("no-case", f"no open case `{said.case}`", cure=cure)
        return _of_group(group, claims.word(self.settings.escalation, group, said, now))

    def called(self, group: Group, step: int, told: Sequence[Call], now: int) -> list[Emission]:
        """The record of people having been told of a group, as that step of its escalation."""
        return [
            _of_group(
                group,
                CaseWord(
                    "unsent" if call.problem else "notified",
                    ELIAS,
                    now,
                    to=call.person,
                    words=call.problem,
                    through=call.through,
                    step=step,
                ),
            )
            for call in told
        ]

    def _watch(self, group: Group) -> None:
        due = next_remark(self.settings.escalation, group)
        self._remarks.set(group.id, due and due[0])
        self.calls.set(group.id, next_call(self.settings.escalation, group))

    def target(self, point: DecisionPoint, asked: Asked, answered: Answered) -> Target:
        if point is RESTART:
            node = asked.event.subject
            return Target(node, [f"node:{node}"], {"patience": asked.event.data["patience"]})
        return Target("@uim", [f"address:{asked.event.subject}"])

    def _refused(self, address: str, now: int) -> Event:
        times = self.failures.setdefault(address, deque(maxlen=FAILURES))
        times.append(now)
        self.failures.move_to_end(address)
        if len(self.failures) > ADDRESSES:
            self.failures.popitem(last=False)
        return _event(address, now)


def _event(address: str, now: int) -> Event:
    return Event(f"{address} {now}", "elias/uim", ACCESS.events[0], address)


def _of_group(group: Group, word: CaseWord) -> Emission:
    return Emission(Kind.CASE, group.point, "", group.id, word)


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
