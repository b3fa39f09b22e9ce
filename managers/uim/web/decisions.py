"""The list of decisions, and the page of one: why it was made and what came of it."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from federation.errors import Refused
from managers.uim.access import Scope, needs
from managers.uim.api import context
from managers.uim.api.context import Context
from managers.uim.reading import Decision, Wanted
from managers.uim.web import evidence, render

router = APIRouter(include_in_schema=False)
LIMIT = 60  # on a page
TIERS = ("rule", "policy", "advisor", "operator", "fallback", "timeout")


@router.get("/decisions", dependencies=[needs(Scope.READ)])
async def decisions(
    request: Request,
    point: Annotated[str, Query(max_length=64)] = "",
    subject: Annotated[str, Query(max_length=256)] = "",
    tier: Annotated[str, Query(max_length=32)] = "",
    before: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    here = context.of(request)
    wanted = Wanted(point, subject.strip(), tier, before=before, limit=LIMIT)
    found = await asyncio.to_thread(here.reader.page, wanted)
    return render.page(request, "decisions.html", found=found, wanted=wanted, points=sorted(here.points), tiers=TIERS)


@router.get("/decisions/{id}", dependencies=[needs(Scope.READ)])
async def decision(request: Request, id: str) -> Response:
    here = context.of(request)
    try:
        told = await asyncio.to_thread(read, here, id)
    except Refused as error:
        return render.message(request, error)
    return render.page(request, "decision.html", **told)


def read(here: Context, id: str) -> dict[str, Any]:
    """What the page of a decision, and of a case, shows of its record. Blocking. Raises Refused: there is none."""
    found: Decision = here.reader.decision(id)
    try:
        explanation, why = here.reader.explain(id), ""
    except Refused as error:
        explanation, why = None, str(error)
    return {
        "d": found,
        "e": explanation,
        "why": why,
        "facts": evidence.facts(here, found),
        "candidates": evidence.candidates(here, found, explanation),
        "alike": evidence.alike(here, found),
    }
