"""What people do with cases by the forms of the pages: one at a time, or all groups that are ticked."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from federation.clock import SECOND
from federation.errors import EliasError, Refused
from managers.uim.access import Person, Scope, needs
from managers.uim.api import context
from managers.uim.api.context import Context
from managers.uim.cases import handling
from managers.uim.cases.case import Case, Group
from managers.uim.cases.claims import CaseUpdate
from managers.uim.cases.handling import Result
from managers.uim.web import render
from managers.uim.web.render import Form

router = APIRouter(include_in_schema=False)
HOUR = 3600  # seconds that a snooze lasts unless the form says otherwise
_SAID = {
    "acknowledge": "acknowledged",
    "release": "released",
    "snooze": "snoozed",
    "assign": "assigned",
    "delegate": "delegated",
    "comment": "commented",
}
_TOLD = {
    "acknowledged": "is yours",
    "released": "is free again",
    "snoozed": "sleeps",
    "assigned": "is assigned",
    "delegated": "is handed on",
    "commented": "has your comment",
}

Answerer = Annotated[Person, needs(Scope.CASES)]


@router.post("/cases")
async def bulk(request: Request, person: Answerer) -> Response:
    """The ticked groups: approve what was proposed for each case of theirs, or say the same of each group."""
    here, form = context.of(request), await render.form(request)
    do, ids = form.one("do", 16), form.all("group")
    try:
        if not ids:
            raise Refused("bad-form", "no group is ticked", cure="tick some, then choose what to do with them")
        if do == "approve":
            results = [r for id in ids for r in await _approve_group(here, id, person, form)]
            return render.back(request, told(results))
        _known(do)
        refused = []
        for id in ids:
            name = _name(handling.group_of(here.book(), id))
            try:
                await _say(here, id, do, person, form)
            except Refused as error:
                refused.append(f"{name}: {error.message}.")
    except EliasError as error:
        return render.message(request, error)
    number = len(ids) - len(refused)
    done = _TOLD[_SAID[do]].replace("is", "are") if number != 1 else _TOLD[_SAID[do]]
    first = f"{number} {'group' if number == 1 else 'groups'} {done}." if number else ""
    return render.back(request, " ".join(filter(None, (first, *refused[:3]))))


@router.post("/cases/{id}/answer")
async def answer(request: Request, id: str, person: Answerer) -> Response:
    here, form = context.of(request), await render.form(request)
    number, words = form.one("candidate", 4), form.one("words")
    try:
        chosen = _candidate(here, id, number)
        _ask_why(here.book().case(id), int(number), words)
        if form.one("all"):
            group = handling.group_of(here.book(), id)
            results = await handling.bulk(here, group, [], chosen[0], {}, person.name, words)
            return render.back(request, told(results), to="/cases")
        reply = await handling.answer(here, id, *chosen, person.name, words)
    except EliasError as error:
        return render.message(request, error)
    sentence = f"{reply.subject}: you answered {chosen[0]}."
    return render.back(request, sentence, to="/cases", link=f"/decisions/{id}")


@router.post("/cases/{id}/approve")
async def approve(request: Request, id: str, person: Answerer, one: bool = False) -> Response:
    """What was proposed, for every case of the group; one: for this case alone."""
    here, form = context.of(request), await render.form(request)
    try:
        if not one:
            return render.back(request, told(await _approve_group(here, id, person, form)), to="/cases")
        reply = await handling.approve(here, id, person.name, form.one("words"))
    except EliasError as error:
        return render.message(request, error)
    sentence = f"{reply.subject}: you approved {reply.action}."
    return render.back(request, sentence, to="/cases", link=f"/decisions/{id}")


@router.post("/cases/{id}/{do}")
async def say(request: Request, id: str, do: str, person: Answerer) -> Response:
    """Acknowledge, release, snooze, assign, delegate, comment."""
    here, form = context.of(request), await render.form(request)
    try:
        _known(do)
        group = await _say(here, id, do, person, form)
    except EliasError as error:
        return render.message(request, error)
    return render.back(request, f"{_name(group)} {_TOLD[_SAID[do]]}.")


def told(results: Sequence[Result]) -> str:
    """What became of many answers, in a sentence or two."""
    done = Counter(r.action for r in results if r.status == "answered")
    again = sum(r.status == "waiting" for r in results)
    refused = Counter(r.message for r in results if r.status == "refused")
    parts = [f"{number} answered {action}" for action, number in done.most_common()]
    parts += [f"{again} no longer held and wait again"] if again else []
    parts += [f"{number} left: {why}" for why, number in refused.most_common(3)]
    return "; ".join(parts) + "." if parts else "Nothing was open any more."


async def _approve_group(here: Context, id: str, person: Person, form: Form) -> list[Result]:
    group = handling.group_of(here.book(), id)
    return await handling.bulk(here, group, [], "", {}, person.name, form.one("words"))


async def _say(here: Context, id: str, do: str, person: Person, form: Form) -> Group:
    """Raises Temporary, or Refused."""
    until = here.clock.now() + _seconds(form.one("for", 8)) * SECOND if do == "snooze" else 0
    words, to, take = form.one("words"), form.one("to", 64), bool(form.one("take", 1))
    return await handling.say(here, CaseUpdate(_SAID[do], id, person.name, to=to, until=until, words=words, take=take))


def _name(group: Group) -> str:
    return f"{group.point} ({len(group.cases)})" if len(group.cases) > 1 else group.point


def _known(do: str) -> None:
    if do not in _SAID:
        raise Refused("bad-form", f"`{do[:20]}` is nothing to do with a case", cure="use the buttons of the page")


def _ask_why(case: Case | None, candidate: int, words: str) -> None:
    """Whoever overrides a model says why, for it learns from that. Raises Refused."""
    if case is None or not case.proposer or case.proposal is None or words.strip():
        return
    if case.proposal.candidate != candidate:
        what = f"the {case.proposer} proposes `{case.proposal.action}`, and you have not said why it is wrong"
        raise Refused("no-reason", what, place="words", cure="go back, and write why below the answers")


def _seconds(text: str) -> int:
    return int(text) if text.isdecimal() and text.isascii() else HOUR


def _candidate(here: Context, id: str, number: str) -> tuple[str, dict[str, object]]:
    """Action and arguments of a candidate, by its number in the record. Raises Refused."""
    found = here.reader.decision(id).candidates
    if not (number.isdecimal() and number.isascii() and int(number) < len(found)):
        raise Refused("bad-form", "no answer was chosen", cure="choose one of the answers")
    one = found[int(number)]
    return str(one["action"]), dict(one.get("args", {}))
