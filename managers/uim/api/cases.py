"""The cases: decisions that wait for a person, who has them, and the answers that they get."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field

from federation.clock import DAY, SECOND
from federation.replies import Reply
from managers.uim.access import Person, Scope, needs
from managers.uim.api import context
from managers.uim.api.body import Body
from managers.uim.cases import handling
from managers.uim.cases.claims import CaseUpdate
from managers.uim.cases.queue import Wanted
from managers.uim.cases.schedules import on_call, shifts
from managers.uim.cases.shown import Case, Cases, Duty, Group, Groups, OnCall, Shift, WholeGroup, Word
from managers.uim.reading import Decision, iso

router = APIRouter(prefix="/v1/cases", tags=["cases"])

Reader = Annotated[Person, needs(Scope.READ)]
Answerer = Annotated[Person, needs(Scope.CASES)]
Id = Annotated[str, Path(max_length=64)]
GroupId = Annotated[str, Path(max_length=64, description="of a group, or of any of its cases")]
Name = Annotated[str, Query(max_length=64)]
Holder = Annotated[str, Query(max_length=64, description="who has them; `me` is you")]
State = Annotated[str, Query(max_length=16, description="`open` or `snoozed`; empty for both")]
Cursor = Annotated[str, Query(max_length=160, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=500)]


def filters(
    person: Reader,
    *,
    manager: Name = "",
    point: Name = "",
    priority: Name = "",
    holder: Holder = "",
    state: State = "",
    after: Cursor = "",
) -> Wanted:
    return Wanted(manager, point, priority, person.name if holder == "me" else holder, state, after)


Filters = Annotated[Wanted, Depends(filters)]


# -- what is said ---------------------------------------------------------------------------------------------------


class Reason(Body):
    """words: why, for the record."""

    words: str = Field("", max_length=2000)


class Comment(Body):
    words: str = Field(min_length=1, max_length=2000)


class Claim(Reason):
    """take: also if somebody else has it."""

    take: bool = False


class Handing(Claim):
    """to: the name of a person; for `delegate` also of a chain."""

    to: str = Field(min_length=1, max_length=64)


class Snooze(Claim):
    """seconds: for how long nobody wants to hear of it; its time-out goes on."""

    seconds: int = Field(ge=60, le=30 * 86_400)


class Answer(Reason):
    """args tells candidates of the same action apart."""

    action: str = Field(min_length=1, max_length=64)
    args: dict[str, Any] = Field({}, max_length=16)


class Override(Answer):
    """words: why not what was proposed."""

    words: str = Field(min_length=1, max_length=2000)


class Bulk(Reason):
    """action: empty for what was proposed for each. cases: which of the group; empty: its oldest open ones, as many as
    one request answers."""

    action: str = Field("", max_length=64)
    args: dict[str, Any] = Field({}, max_length=16)
    cases: list[Annotated[str, Field(max_length=64)]] = Field([], max_length=handling.MOST)


class Answered(BaseModel):
    decisions: list[dict[str, Any]]


class Results(BaseModel):
    """One for each case; left: how many of the group are open still."""

    results: list[handling.Result]
    left: int


# -- looking --------------------------------------------------------------------------------------------------------


@router.get("", summary="List open cases")
async def cases(request: Request, wanted: Filters, limit: Limit = 100) -> Cases:
    book = context.of(request).book()
    found, following = book.flat(wanted._replace(limit=limit))
    return Cases(cases=[Case.of(book, case) for case in found], next=following)


@router.get("/groups", summary="List groups of alike cases")
async def groups(request: Request, wanted: Filters, limit: Limit = 50) -> Groups:
    here = context.of(request)
    book, now = here.book(), here.clock.now()
    page = book.page(wanted._replace(limit=limit))
    found = [Group.of(book, group, now) for group in page.groups]
    return Groups(groups=found, next=page.next, counts=book.counts(now))


@router.get("/groups/{id}", summary="A group, what was said of it, and its cases", dependencies=[needs(Scope.READ)])
async def group(request: Request, id: GroupId, after: Cursor = "", limit: Limit = 50) -> WholeGroup:
    here = context.of(request)
    book = here.book()
    found = handling.group_of(book, id)
    open_, following = book.cases(found, after, limit)
    cases, words = [Case.of(book, case) for case in open_], [Word.of(word) for word in found.words]
    return WholeGroup.of(book, found, here.clock.now(), words=words, cases=cases, next=following)


@router.get("/on-call", summary="Who is on call", dependencies=[needs(Scope.READ)])
async def who_is_on_call(request: Request, days: Annotated[int, Query(ge=1, le=90)] = 14) -> OnCall:
    here = context.of(request)
    now = here.clock.now()
    return OnCall(
        schedules=[
            Duty(
                schedule=name,
                timezone=schedule.timezone,
                person=on_call(schedule, now),
                shifts=[
                    Shift(starts=iso(shift.starts), ends=iso(shift.ends), person=shift.person)
                    for shift in shifts(schedule, now, now + days * DAY)
                ],
            )
            for name, schedule in here.settings.escalation.schedules.items()
        ]
    )


@router.get("/{id}", summary="A case, open or closed, as its decision", dependencies=[needs(Scope.READ)])
def case(request: Request, id: Id) -> Decision:
    return context.of(request).reader.decision(id)


# -- answering ------------------------------------------------------------------------------------------------------


@router.post("/{id}/answer", summary="Answer a case")
async def answer(request: Request, id: Id, body: Answer, person: Answerer) -> Answered:
    return _answered(await handling.answer(context.of(request), id, body.action, body.args, person.name, body.words))


@router.post("/{id}/approve", summary="Answer with what was proposed")
async def approve(request: Request, id: Id, body: Reason, person: Answerer) -> Answered:
    return _answered(await handling.approve(context.of(request), id, person.name, body.words))


@router.post("/{id}/override", summary="Answer with something else than was proposed, and why")
async def override(request: Request, id: Id, body: Override, person: Answerer) -> Answered:
    here = context.of(request)
    return _answered(await handling.override(here, id, body.action, body.args, person.name, body.words))


@router.post("/groups/{id}/answer", summary="Answer many cases of a group, each for itself")
async def answer_many(request: Request, id: GroupId, body: Bulk, person: Answerer) -> Results:
    here = context.of(request)
    found = handling.group_of(here.book(), id)
    results = await handling.bulk(here, found, body.cases, body.action, body.args, person.name, body.words)
    now = here.book().group(found.id)
    return Results(results=results, left=len(now.cases) if now else 0)


# -- who has it -----------------------------------------------------------------------------------------------------


@router.post("/{id}/acknowledge", summary="Take a group of cases")
async def acknowledge(request: Request, id: GroupId, body: Claim, person: Answerer) -> Group:
    return await _say(request, CaseUpdate("acknowledged", id, person.name, words=body.words, take=body.take))


@router.post("/{id}/release", summary="Give it back to everybody")
async def release(request: Request, id: GroupId, body: Claim, person: Answerer) -> Group:
    return await _say(request, CaseUpdate("released", id, person.name, words=body.words, take=body.take))


@router.post("/{id}/assign", summary="Give it to somebody, unless somebody else has it")
async def assign(request: Request, id: GroupId, body: Handing, person: Answerer) -> Group:
    return await _say(request, CaseUpdate("assigned", id, person.name, to=body.to, words=body.words, take=body.take))


@router.post("/{id}/delegate", summary="Hand what you have on, to a person or a chain")
async def delegate(request: Request, id: GroupId, body: Handing, person: Answerer) -> Group:
    return await _say(request, CaseUpdate("delegated", id, person.name, to=body.to, words=body.words, take=body.take))


@router.post("/{id}/snooze", summary="Hear nothing of it for a while")
async def snooze(request: Request, id: GroupId, body: Snooze, person: Answerer) -> Group:
    until = context.of(request).clock.now() + body.seconds * SECOND
    return await _say(request, CaseUpdate("snoozed", id, person.name, until=until, words=body.words, take=body.take))


@router.post("/{id}/comment", summary="Say something about it")
async def comment(request: Request, id: GroupId, body: Comment, person: Answerer) -> Group:
    return await _say(request, CaseUpdate("commented", id, person.name, words=body.words))


async def _say(request: Request, said: CaseUpdate) -> Group:
    here = context.of(request)
    found = await handling.say(here, said)
    return Group.of(here.book(), found, here.clock.now())


def _answered(reply: Reply) -> Answered:
    return Answered(decisions=[msgspec.to_builtins(reply)])
