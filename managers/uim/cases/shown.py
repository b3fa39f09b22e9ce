"""Cases and groups as the API tells them: times in RFC 3339."""

from typing import Any, Self

from pydantic import BaseModel

from federation.records import CaseWord
from federation.targets import Priority
from managers.uim.cases import case as kept
from managers.uim.cases.book import Book
from managers.uim.cases.queue import Counts
from managers.uim.reading import iso


class Option(BaseModel):
    action: str
    args: dict[str, Any] = {}


class Proposal(Option):
    """by: policy or advisor; empty: it is all that may be done. confidence: of the policy calibrated, of an advisor its
    own."""

    by: str = ""
    confidence: float | None = None


class Case(BaseModel):
    """A decision that waits. options: what may be answered. until: when `on_timeout` answers. holder: who has it."""

    id: str
    group: str
    point: str
    subject: str
    priority: Priority
    opened: str
    until: str
    clause: str
    reason: str
    options: list[Option]
    proposal: Proposal | None = None
    holder: str = ""

    @classmethod
    def of(cls, book: Book, case: kept.Case) -> Self:
        chosen = case.proposal
        return cls(
            id=case.id,
            group=case.group,
            point=case.point,
            subject=case.subject,
            priority=case.priority,
            opened=iso(case.opened),
            until=iso(case.until),
            clause=case.clause,
            reason=case.reason,
            options=[Option(action=option.action, args=option.args) for option in case.options],
            proposal=Proposal(action=chosen.action, args=chosen.args, by=case.proposer, confidence=case.confidence)
            if chosen
            else None,
            holder=book.state.groups[case.group].holder,
        )


class Group(BaseModel):
    """Alike cases. open, answered: how many. due: by when they ought to be answered; until: when the oldest one's
    `on_timeout` answers. holder: who has them; acknowledged: and said so. snoozed: until when."""

    id: str
    point: str
    clause: str
    actions: list[str]
    priority: Priority
    opened: str
    latest: str
    due: str
    overdue: bool
    until: str = ""
    open: int
    answered: int
    holder: str = ""
    acknowledged: bool = False
    snoozed: str = ""
    chain: str = ""

    @classmethod
    def of(cls, book: Book, group: kept.Group, now: int, **more: Any) -> Self:
        """now: ledger time, ns."""
        return cls(
            id=group.id,
            point=group.point,
            clause=group.clause,
            actions=group.actions,
            priority=group.priority,
            opened=iso(group.opened),
            latest=iso(group.latest),
            due=iso(group.due),
            overdue=group.due <= now,
            until=iso(book.until(group)) if group.cases else "",
            open=len(group.cases),
            answered=group.answered,
            holder=group.holder,
            acknowledged=group.acknowledged,
            snoozed=iso(group.snoozed) if group.snoozed else "",
            chain=group.chain,
            **more,
        )


class Word(BaseModel):
    """What was said of a group; see docs/cases.md."""

    what: str
    by: str
    at: str
    to: str = ""
    until: str = ""
    words: str = ""
    through: str = ""
    action: str = ""
    args: dict[str, Any] = {}

    @classmethod
    def of(cls, word: CaseWord) -> Self:
        return cls(
            what=word.what,
            by=word.by,
            at=iso(word.at),
            to=word.to,
            until=iso(word.until) if word.until else "",
            words=word.words,
            through=word.through,
            action=word.action,
            args=word.args,
        )


class WholeGroup(Group):
    """words: what was said, the oldest first. cases: a page of the open ones; next: the `after` of the next."""

    words: list[Word]
    cases: list[Case]
    next: str = ""


class Cases(BaseModel):
    """The most urgent first. next: the `after` of the next page; empty: there is none."""

    cases: list[Case]
    next: str = ""


class Groups(BaseModel):
    """The most urgent first. next: the `after` of the next page; empty: there is none."""

    groups: list[Group]
    next: str = ""
    counts: Counts


class Shift(BaseModel):
    """person: empty when nobody is on call."""

    starts: str
    ends: str
    person: str


class Duty(BaseModel):
    schedule: str
    timezone: str
    person: str
    shifts: list[Shift]


class OnCall(BaseModel):
    schedules: list[Duty]
