"""The cases: decisions that wait for a person, and the answers that they get."""

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from federation.cases import Case as OpenCase
from federation.errors import Refused, Temporary
from managers.uim.access import Person, Scope, needs
from managers.uim.api import context
from managers.uim.api.context import Context
from managers.uim.reading import Decision, iso

router = APIRouter(prefix="/v1/cases", tags=["cases"])
Answerer = Annotated[Person, needs(Scope.CASES)]
_cases = msgspec.json.Decoder(list[OpenCase])


class Option(BaseModel):
    action: str
    args: dict[str, Any] = {}


class Case(BaseModel):
    """A decision that waits. options: what may be answered. until: when `on_timeout` answers."""

    id: str
    point: str
    subject: str
    opened: str
    until: str
    clause: str
    reason: str
    options: list[Option]


class Cases(BaseModel):
    """Oldest first. away: managers that did not answer, whose cases are missing here."""

    cases: list[Case]
    away: list[str] = []


class Answer(BaseModel):
    """args tells candidates of the same action apart. words: why, for the record."""

    model_config = ConfigDict(extra="forbid")

    action: str = Field(max_length=64)
    args: dict[str, Any] = Field({}, max_length=16)
    words: str = Field("", max_length=2000)


class Answered(BaseModel):
    decisions: list[dict[str, Any]]


@router.get("", summary="List open cases", dependencies=[needs(Scope.READ)])
async def cases(request: Request) -> Cases:
    return await all_cases(context.of(request))


@router.get("/{id}", summary="A case, open or closed, as its decision", dependencies=[needs(Scope.READ)])
def case(request: Request, id: str) -> Decision:
    return context.of(request).reader.decision(id)


@router.post("/{id}/answer", summary="Answer a case")
async def answer(request: Request, id: str, body: Answer, person: Answerer) -> Answered:
    return await give(context.of(request), id, body, person)


async def all_cases(here: Context) -> Cases:
    async def of(manager: str) -> list[OpenCase] | None:
        try:
            return _cases.decode(await here.link.call(manager, "cases", patience=2.0))
        except Temporary:
            return None

    names = (*here.managers, "gate") if "gate" not in here.managers else here.managers
    lists = dict(zip(names, await asyncio.gather(*map(of, names)), strict=True))
    found = sorted((c for some in lists.values() for c in some or ()), key=lambda c: c.opened)
    shown = await asyncio.to_thread(lambda: [_case(here, c) for c in found])
    return Cases(cases=shown, away=[name for name, some in lists.items() if some is None])


def _case(here: Context, case: OpenCase) -> Case:
    return Case(
        id=case.decision,
        point=case.point,
        subject=case.subject,
        opened=iso(case.opened),
        until=iso(case.until),
        clause=case.clause,
        reason=case.reason,
        options=[Option(action=c.action, args=c.args) for c in here.reader.offered(case.decision)],
    )


async def give(here: Context, id: str, body: Answer, person: Person) -> Answered:
    """Hands a person's answer to the manager whose case it is. Refused: no such case, not offered, answered before."""
    decision = await asyncio.to_thread(here.reader.decision, id)
    manager = decision.point.partition(".")[0]
    try:
        raw = await here.link.call(manager, "answer", id, body.action, body.args, person.name, body.words)
    except Refused as error:
        now = await asyncio.to_thread(here.reader.decision, id)
        if error.code == "no-case" and now.status == "answered":
            what = f"`{now.action}` was answered by {now.by or now.tier} before"
            raise Refused("already-answered", what, place=id, cure=f"`elias explain {id}` shows it") from None
        raise
    return Answered(decisions=[msgspec.json.decode(raw)])
