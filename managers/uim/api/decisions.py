"""GET /v1/decisions: what was decided, page by page, one by one, and why."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from managers.uim.access import Scope, needs
from managers.uim.api import context
from managers.uim.reading import Decision, Explanation, Page, Wanted, nanoseconds

router = APIRouter(prefix="/v1/decisions", tags=["decisions"])


@router.get("", summary="List decisions, newest first", dependencies=[needs(Scope.READ)])
def decisions(
    request: Request,
    *,
    point: Annotated[str, Query(max_length=64)] = "",
    subject: Annotated[str, Query(max_length=256)] = "",
    tier: Annotated[str, Query(max_length=32)] = "",
    since: Annotated[str, Query(max_length=40, description="RFC 3339")] = "",
    before: Annotated[int, Query(ge=0, description="`next` of the page before")] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Page:
    wanted = Wanted(point, subject, tier, nanoseconds(since) if since else 0, before, limit)
    return context.of(request).reader.page(wanted)


@router.get("/{id}", summary="Everything on record about a decision", dependencies=[needs(Scope.READ)])
def decision(request: Request, id: str) -> Decision:
    return context.of(request).reader.decision(id)


@router.get("/{id}/explain", summary="Why it was decided so, recomputed", dependencies=[needs(Scope.READ)])
def explain(request: Request, id: str) -> Explanation:
    return context.of(request).reader.explain(id)
