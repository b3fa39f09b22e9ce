"""The book of cases: a fold over the log, and what people read of it.

A case is in the book from the moment it waits for a person, whichever manager asked; it leaves with its answer. Alike
cases that open close together are one group, and what people say (who has it, when to ask again) they say of groups.
All of it follows from records, so a restarted UIM has the same book.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from federation import decide
from federation.clock import SECOND
from federation.escalation import Escalation
from federation.points import DecisionPoint
from federation.records import Advised, Answered, Asked, CaseWord, Entry, Scored
from federation.targets import Priority
from managers.uim.cases.case import WORDS, Case, Closed, Group, Option
from managers.uim.cases.priority import RANK, alike, due, priority
from managers.uim.cases.queue import Counts, Page, Queue, Wanted, cursor_of, position

CLOSED_KEPT = 5000  # cases that were answered, so that a late answer finds its group
OPEN_KEPT = 50_000  # open cases; more are left to their time-outs, and to whoever knows their id


class Consulted(msgspec.Struct):
    """A decision that waits for the policy or an advisor, with what they have said. Most are never a case, so nothing
    is worked out yet."""

    point: str
    subject: str
    asked: Asked
    scored: Scored | None = None
    advised: Advised | None = None


class BookState(msgspec.Struct):
    """cases: those that wait for an operator, by id. consulting: those that wait for a model. groups:
    by id, also those whose cases are closed but not forgotten. newest: what is alike -> the group that grows. at: the
    newest ledger time (ns) that a folded record tells. left_out: cases for which there was no room."""

    cases: dict[str, Case] = {}
    consulting: dict[str, Consulted] = {}
    groups: dict[str, Group] = {}
    closed: dict[str, Closed] = {}
    newest: dict[str, str] = {}
    at: int = 0
    left_out: int = 0


class Book:
    """points: the decision points of the house; a case of any other is not in the book."""

    def __init__(self, state: BookState, escalation: Escalation, points: Mapping[str, DecisionPoint]) -> None:
        self.state = state
        self.escalation = escalation
        self.points = points
        self._queue = Queue(state.groups)

    # -- reading -----------------------------------------------------------------------------------------------------

    def page(self, wanted: Wanted) -> Page:
        """Open groups."""
        found: list[Group] = []
        for group in self._queue.after(wanted.after):
            if wanted.fits(group):
                if len(found) == wanted.limit:
                    return Page(found, cursor_of(found[-1]))
                found.append(group)
        return Page(found)

    def flat(self, wanted: Wanted) -> tuple[list[Case], str]:
        """The cases of the groups that fit, group by group, and the `after` of the next page; empty: there is none."""
        place, _, inside = wanted.after.partition("/")
        found: list[Case] = []
        for group in self._queue.at(place):
            if wanted.fits(group):
                behind = inside if cursor_of(group) == place else ""
                found += self.cases(group, behind, wanted.limit + 1 - len(found))[0]
                if len(found) > wanted.limit:
                    last = found[wanted.limit - 1]
                    place = cursor_of(self.state.groups[last.group])
                    return found[: wanted.limit], f"{place}/{last.opened} {last.id}"
        return found, ""

    def group(self, id: str) -> Group | None:
        """By its own id or that of any case of it, open or closed and not forgotten."""
        case = self.state.cases.get(id) or self.state.closed.get(id)
        return self.state.groups.get(case.group if case else id)

    def case(self, id: str) -> Case | None:
        """An open case."""
        return self.state.cases.get(id)

    def cases(self, group: Group, after: str = "", limit: int = 50) -> tuple[list[Case], str]:
        """Open cases of a group, the oldest first, and the `after` of the next page; empty: there is none."""
        order = sorted((opened, id) for id, opened in group.cases.items())
        start = bisect_right(order, position(after)) if after else 0
        found = [self.state.cases[id] for _, id in order[start : start + limit]]
        more = start + limit < len(order)
        return found, f"{found[-1].opened} {found[-1].id}" if more else ""

    def until(self, group: Group) -> int:
        """When the oldest case of an open group is answered by its time-out; ledger time, ns."""
        return self.state.cases[next(iter(group.cases))].until

    def counts(self, now: int) -> Counts:
        """now: ledger time, ns."""
        groups = list(self._queue)
        by_priority, by_manager = Counter[str](), Counter[str]()
        for group in groups:
            by_priority[group.priority] += len(group.cases)
            by_manager[group.manager] += len(group.cases)
        return Counts(
            cases=len(self.state.cases),
            groups=len(groups),
            unclaimed=sum(not group.holder for group in groups),
            overdue=sum(group.due <= now for group in groups),
            snoozed=sum(group.snoozed > 0 for group in groups),
            by_priority=dict(by_priority),
            by_manager=dict(sorted(by_manager.items())),
        )

    # -- folding -----------------------------------------------------------------------------------------------------

    def fold(self, entry: Entry, body: Any) -> Group | None:
        """Take a record; the group that it changed."""
        match body:
            case Asked() if body.waits and entry.point in self.points:
                return self._asked(entry, body)
            case Scored() | Advised():
                return self._said_by_model(entry.decision, body)
            case Answered():
                return self._answered(entry.decision, body)
            case CaseWord():
                return self._said(entry.decision, body)
        return None

    def _asked(self, entry: Entry, asked: Asked) -> Group | None:
        self.state.at = max(self.state.at, asked.at)
        waiting = Consulted(entry.point, entry.subject, asked)
        if asked.waits == "operator":
            return self._open(entry.decision, waiting)
        self.state.consulting[entry.decision] = waiting
        return None

    def _case(self, decision: str, waiting: Consulted) -> Case:
        point, asked = waiting.point, waiting.asked
        terminal = self.points[point].terminal
        offered = decide.offered(asked, terminal)
        options = [Option(i, asked.candidates[i].action, asked.candidates[i].args) for i in offered]
        actions = list(dict.fromkeys(option.action for option in options))
        doing = [n for n, option in enumerate(options) if option.action != terminal]
        case = Case(
            id=decision,
            point=point,
            subject=waiting.subject,
            attempt=asked.attempt,
            opened=asked.at,
            until=asked.until,
            clause=asked.clause,
            reason=asked.reason,
            priority=priority(self.escalation, self.points, point, asked, actions),
            options=options,
            alike=alike(point, asked, actions),
            proposed=doing[0] if len(doing) == 1 else -1,
        )
        for said in (waiting.scored, waiting.advised):
            if said is not None:
                _propose(case, said)
        return case

    def _said_by_model(self, decision: str, said: Scored | Advised) -> Group | None:
        self.state.at = max(self.state.at, said.at)
        waiting, case = self.state.consulting.get(decision), self.state.cases.get(decision)
        if waiting is None:
            if case is not None:
                _propose(case, said)
            return None
        if isinstance(said, Scored):
            waiting.scored = said
        else:
            waiting.advised = said
        if said.tier != "operator":
            return None
        del self.state.consulting[decision]
        return self._open(decision, waiting)

    def _answered(self, decision: str, answered: Answered) -> Group | None:
        self.state.consulting.pop(decision, None)
        case = self.state.cases.pop(decision, None)
        if case is None:
            return None
        group = self.state.groups[case.group]
        del group.cases[decision]
        group.answered += 1
        if answered.by == group.holder:
            group.spoken = max(group.spoken, self.state.at)
        if not group.cases:
            self._queue.leave(group)
        self._keep(case, answered)
        return group

    def _keep(self, case: Case, answered: Answered) -> None:
        """Remember how a case ended, and forget the one that ended first."""
        closed = self.state.closed
        closed[case.id] = Closed(case.group, case.subject, answered.action, answered.tier, answered.by)
        self.state.groups[case.group].kept += 1
        if len(closed) > CLOSED_KEPT:
            self._drop(next(iter(closed)))

    def _drop(self, decision: str) -> None:
        group = self.state.groups[self.state.closed.pop(decision).group]
        group.kept -= 1
        if not group.cases and not group.kept:
            del self.state.groups[group.id]
            if self.state.newest.get(group.alike) == group.id:
                del self.state.newest[group.alike]

    # -- groups ------------------------------------------------------------------------------------------------------

    def _open(self, decision: str, waiting: Consulted) -> Group | None:
        state = self.state
        if len(state.cases) >= OPEN_KEPT:
            state.left_out += 1
            return None
        case = self._case(decision, waiting)
        before = state.closed.pop(case.id, None)  # asked again
        group = state.groups.get(before.group if before else state.newest.get(case.alike, ""))
        if group is not None and before is not None:
            group.kept, group.answered = group.kept - 1, group.answered - 1
        near = group is not None and group.cases and case.opened - group.latest <= self._within()
        if group is None or not (before or near):
            group = self._found(case)
        elif group.cases:
            self._queue.leave(group)
        if RANK[case.priority] < RANK[group.priority]:
            group.priority, group.snoozed = case.priority, 0
            group.due = min(group.due, due(self.escalation, case.priority, case.opened))
            group.escalate(case.opened)
        case.group = group.id
        group.cases[case.id] = case.opened
        group.latest = max(group.latest, case.opened)
        state.cases[case.id] = case
        self._queue.enter(group)
        return group

    def _found(self, case: Case) -> Group:
        """A new group."""
        actions = list(dict.fromkeys(option.action for option in case.options))
        by = due(self.escalation, case.priority, case.opened)
        group = Group(case.id, case.alike, case.point, case.clause, actions, case.priority, case.opened, by)
        group.since = case.opened
        self.state.groups[group.id] = group
        self.state.newest[case.alike] = group.id
        return group

    def _within(self) -> int:
        return round(self.escalation.group_within * SECOND)

    # -- what was said -----------------------------------------------------------------------------------------------

    def _said(self, id: str, word: CaseWord) -> Group | None:
        self.state.at = max(self.state.at, word.at)
        group = self.group(id)
        if group is None:
            return None
        group.words = [*group.words[1 - WORDS :], word]
        if word.by == group.holder:
            group.spoken = word.at
        match word.what:
            case "acknowledged":
                group.holder, group.acknowledged, group.spoken, group.snoozed = word.by, True, word.at, 0
            case "assigned" | "delegated":
                group.holder, group.chain = word.to, word.through or group.chain
                group.acknowledged, group.spoken, group.snoozed = word.to == word.by, word.at, 0
                group.escalate(word.at)
            case "released" | "returned":
                group.holder, group.acknowledged = "", False
                group.escalate(word.at)
            case "snoozed":
                group.snoozed = word.until
            case "woken":
                group.snoozed, group.acknowledged, group.spoken = 0, False, word.at
                group.escalate(word.at)
            case "raised":
                self._raise(group, word)
            case "notified" | "unsent":
                group.step = max(group.step, word.step + 1)
        return group

    def _raise(self, group: Group, word: CaseWord) -> None:
        self._queue.leave(group)
        group.priority, group.raised = cast(Priority, word.to), True
        if group.cases:
            self._queue.enter(group)
        if not group.acknowledged:
            group.escalate(word.at)


def _propose(case: Case, said: Scored | Advised) -> None:
    """What a model would have chosen, where it chose."""
    if said.choice is not None:
        chosen = (n for n, option in enumerate(case.options) if option.candidate == said.choice)
        case.proposed = next(chosen, case.proposed)
        case.proposer = "policy" if isinstance(said, Scored) else "advisor"
        case.confidence = said.confidence
    case.reason = said.reason or case.reason
