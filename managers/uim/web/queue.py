"""The queue: groups of alike cases that wait for a person, the most urgent first."""

from typing import NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from federation.clock import SECOND
from federation.targets import PRIORITIES
from managers.uim.access import Scope, needs
from managers.uim.api import context
from managers.uim.api.cases import Filters
from managers.uim.cases.book import Book
from managers.uim.cases.case import Group, Option
from managers.uim.cases.queue import Wanted
from managers.uim.web import render

router = APIRouter(include_in_schema=False)
LIMIT = 60  # groups on a page
NAMED = 3  # subjects of a group that its row names
STATES = ("", "open", "snoozed")
_FILTERS = ("manager", "point", "priority", "holder", "state")


class Row(NamedTuple):
    """A group as the queue shows it. subjects: of its oldest cases; more: how many others. proposal: what the policy,
    an advisor or the point itself proposes for the oldest. left: seconds until it ought to be answered. until: ns.
    """

    group: Group
    subjects: list[str]
    more: int
    reason: str
    proposal: Option | None
    proposer: str
    confidence: float | None
    left: float
    until: int


class Waiting(NamedTuple):
    """What the first page shows. total: open cases."""

    rows: list[Row]
    total: int
    groups: int
    note: str


@router.get("/cases", dependencies=[needs(Scope.READ)])
async def queue(request: Request, wanted: Filters) -> Response:
    here = context.of(request)
    book, now = here.book(), here.clock.now()
    found = book.page(wanted._replace(limit=LIMIT))
    return render.page(
        request,
        "queue.html",
        rows=[row(book, group, now) for group in found.groups],
        next=found.next,
        wanted=wanted,
        filters={name: getattr(wanted, name) for name in _FILTERS if getattr(wanted, name)},
        counts=book.counts(now),
        points=sorted(here.points),
        managers=(*here.managers, "gate") if "gate" not in here.managers else here.managers,
        priorities=PRIORITIES[::-1],
        states=STATES,
    )


def first(request: Request, limit: int) -> Waiting:
    """The most urgent groups that are awake."""
    here = context.of(request)
    book, now = here.book(), here.clock.now()
    counts = book.counts(now)
    urgent = [f"{counts.by_priority[name]} {name}" for name in PRIORITIES[::-1] if counts.by_priority.get(name)]
    rows = [row(book, group, now) for group in book.page(Wanted(state="open", limit=limit)).groups]
    return Waiting(rows, counts.cases, counts.groups, ", ".join(urgent))


def row(book: Book, group: Group, now: int) -> Row:
    cases, _ = book.cases(group, limit=NAMED)
    oldest = cases[0]
    return Row(
        group=group,
        subjects=[case.subject for case in cases],
        more=len(group.cases) - len(cases),
        reason=oldest.reason,
        proposal=oldest.proposal,
        proposer=oldest.proposer,
        confidence=oldest.confidence,
        left=(group.due - now) / SECOND,
        until=book.until(group),
    )
