"""/v1/decisions: what was decided, page by page, one by one, and why; and what came of it, where that is for others to
say."""

import asyncio
from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from federation.errors import Refused
from managers.uim.access import Person, Scope, needs
from managers.uim.api import context
from managers.uim.api.body import Body
from managers.uim.reading import Decision, Explanation, Page, Wanted, nanoseconds

router = APIRouter(prefix="/v1/decisions", tags=["decisions"])

Reporter = Annotated[Person, needs(Scope.EVENTS)]


class ReportedOutcome(Body):
    """reward: in the unit of the decision point, within its bounds. words: what was seen."""

    decision: str = Field(min_length=1, max_length=64)
    reward: float = Field(allow_inf_nan=False)
    words: str = Field("", max_length=2000)


class ReportedOutcomes(Body):
    """Each decision once."""

    outcomes: list[ReportedOutcome] = Field(min_length=1, max_length=100)


class Result(BaseModel):
    """code, message: why it is not on record; empty: it is."""

    decision: str
    code: str = ""
    message: str = ""


class Results(BaseModel):
    """One for each outcome, in their order."""

    results: list[Result]


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
    wanted = Wanted(point, subject, tier, nanoseconds(since, "since") if since else 0, before, limit)
    return context.of(request).reader.page(wanted)


@router.get("/{id}", summary="Everything on record about a decision", dependencies=[needs(Scope.READ)])
def decision(request: Request, id: str) -> Decision:
    return context.of(request).reader.decision(id)


@router.get("/{id}/explain", summary="Why it was decided so, recomputed", dependencies=[needs(Scope.READ)])
def explain(request: Request, id: str) -> Explanation:
    return context.of(request).reader.explain(id)


@router.post("/outcomes", summary="Say what came of decisions that have no effect")
async def outcomes(request: Request, body: ReportedOutcomes, person: Reporter) -> Results:
    twice = [decision for decision, times in Counter(one.decision for one in body.outcomes).items() if times > 1]
    if twice:
        what = f"decision `{twice[0]}` is named more than once"
        raise Refused("named-twice", what, place="body.outcomes", cure="say once what came of it")
    here = context.of(request)
    points = await asyncio.to_thread(here.reader.points_of, [one.decision for one in body.outcomes])
    found = {one.decision: Result(decision=one.decision, **_UNKNOWN) for one in body.outcomes}
    for manager in dict.fromkeys(point.partition(".")[0] for point in points.values()):
        mine = [one for one in body.outcomes if points.get(one.decision, "").partition(".")[0] == manager]
        said = [(one.decision, one.reward, one.words) for one in mine]
        for one, refused in zip(mine, await here.link.call(manager, "report_outcomes", said, person.name), strict=True):
            problem = {} if refused is None else {"code": refused.code, "message": refused.message}
            found[one.decision] = Result(decision=one.decision, **problem)
    return Results(results=[found[one.decision] for one in body.outcomes])


_UNKNOWN = {"code": "no-decision", "message": "no such decision is on record"}
