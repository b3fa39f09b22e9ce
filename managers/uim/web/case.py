"""The page of a case: the evidence in front of whoever answers, and what people say about it."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from federation.errors import EliasError
from federation.records import Advised, CaseWord, Kind, decode
from managers.uim.access import Scope, needs
from managers.uim.api import context
from managers.uim.api.context import Context
from managers.uim.reading import iso
from managers.uim.web import decisions, queue, render

router = APIRouter(include_in_schema=False)
ALIKE = 30  # open cases of the group that are named


@router.get("/cases/{id}", dependencies=[needs(Scope.READ)])
async def case(request: Request, id: str, after: Annotated[str, Query(max_length=120)] = "") -> Response:
    """Of an open case, or of the oldest one of a group. One that was answered is shown as its decision."""
    here = context.of(request)
    book, now = here.book(), here.clock.now()
    group = book.group(id)
    open_ = book.case(id) or (next(iter(book.cases(group, limit=1)[0]), None) if group else None)
    if group is None or open_ is None:
        return RedirectResponse(f"/decisions/{id}", 303)
    others, more = book.cases(group, after, ALIKE) if len(group.cases) > 1 else ([], "")
    try:
        told = await asyncio.to_thread(_evidence, here, open_.id)
    except EliasError as error:
        return render.message(request, error)
    return render.page(
        request,
        "case.html",
        case=open_,
        group=group,
        row=queue.row(book, group, now),
        others=others,
        more=more,
        offered={option.candidate for option in open_.options},
        proposed=open_.proposal.candidate if open_.proposal else -1,
        people=sorted({*book.escalation.people, *(book.escalation.chains if group.holder else ())}),
        said=said,
        **told,
    )


def said(word: CaseWord) -> str:
    """A word about a group, as a sentence."""
    quoted = f": {word.words}" if word.words else ""
    match word.what:
        case "assigned" | "delegated":
            return f"{word.by} {word.what} it to {word.to or f'the chain {word.through}'}{quoted}"
        case "snoozed":
            return f"{word.by} snoozed it until {iso(word.until)[11:16]} UTC{quoted}"
        case "commented":
            return f"{word.by}{quoted}"
        case "late":
            return f"{word.by} answered {word.action} too late{quoted}"
        case "returned":
            return f"It came back: {word.to or word.by} had forgotten it"
        case "woken":
            return "It slept long enough"
        case "raised":
            return f"It waits too long and is {word.to} now"
        case "notified":
            return f"{word.to or 'somebody'} was told through {word.through}"
        case "unsent":
            return f"{word.to or 'somebody'} could not be told through {word.through}{quoted}"
    return f"{word.by} {word.what} it{quoted}"


def _evidence(here: Context, id: str) -> dict[str, Any]:
    told = decisions.read(here, id)
    advice = [decode(r.header.kind, r.body) for r in here.reader.records(id) if r.header.kind == Kind.ADVISED]
    newest: Advised | None = advice[-1] if advice else None
    return told | {"advice": newest}
