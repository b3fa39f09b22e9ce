"""The specs in force, what was in force before, and what differs between two bundles."""

import asyncio
import difflib
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from federation.bundles.history import find, history
from federation.errors import EliasError
from managers.uim.access import Person, Scope, needs
from managers.uim.api import bundles, context
from managers.uim.api.bundles import past_of
from managers.uim.web import render

router = APIRouter(include_in_schema=False)
PAST = 30  # bundles listed
LINES = 4000  # of a comparison that are shown

Digest = Annotated[str, Query(max_length=64)]


class Line(NamedTuple):
    """kind: add, del, same or place (where the next lines stand)."""

    kind: str
    text: str


@router.get("/specs", dependencies=[needs(Scope.READ)])
async def specs(request: Request) -> Response:
    here = context.of(request)
    bundle, past = await asyncio.gather(
        render.known(here.link.call("gate", "bundle", patience=render.PATIENCE)),
        asyncio.to_thread(history, here.store, PAST),
    )
    brief = None if bundle is None else bundles.Bundle(**bundle)
    return render.page(request, "specs.html", bundle=brief, past=[past_of(entry) for entry in past])


@router.get("/specs/diff", dependencies=[needs(Scope.READ)])
async def diff(request: Request, old: Digest = "", new: Digest = "") -> Response:
    here = context.of(request)
    try:
        before, after = await asyncio.gather(
            asyncio.to_thread(find, here.store, old), asyncio.to_thread(find, here.store, new)
        )
    except EliasError as error:
        return render.message(request, error)
    files = compare(before.sources, after.sources)
    return render.page(request, "diff.html", files=files, old=before.digest, new=after.digest)


@router.post("/specs/rollback")
async def roll_back(request: Request, person: Annotated[Person, needs(Scope.BUNDLES)]) -> Response:
    form = await render.form(request)
    words = (form.one("to", 64), person.name, form.one("reason", 500) or "on the page")
    try:
        done = await context.of(request).link.call("gate", "roll_back", *words, patience=bundles.PATIENCE)
    except EliasError as error:
        return render.message(request, error)
    return render.back(request, f"Bundle {done['digest'][:8]} is in force.")


def compare(old: dict[str, str], new: dict[str, str]) -> dict[str, list[Line]]:
    """The files that differ, by path, as lines of a unified diff with three lines around each change."""
    found: dict[str, list[Line]] = {}
    left = LINES
    for path in sorted({*old, *new}):
        before, after = old.get(path, "").splitlines(), new.get(path, "").splitlines()
        if before == after or not left:
            continue
        lines = [_line(text) for text in list(difflib.unified_diff(before, after, lineterm=""))[2:]][:left]
        left -= len(lines)
        found[path] = lines
    return found


def _line(text: str) -> Line:
    kind = {"+": "add", "-": "del", "@": "place"}.get(text[:1], "same")
    return Line(kind, text if kind == "place" else text[1:])
