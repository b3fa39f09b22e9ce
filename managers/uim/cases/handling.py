"""What people do with cases, by API, command or page: an answer goes to the manager that asked, anything else to UIM.

Both are atomic there: of two people who answer, or take a case, at the same time, one is told who was first.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from pydantic import BaseModel

from federation.errors import Conflict, EliasError, Refused, Temporary
from federation.records import encode
from federation.replies import Reply
from managers.uim.api.context import Context
from managers.uim.cases.book import Book
from managers.uim.cases.case import Case, Group, Option
from managers.uim.cases.claims import CaseUpdate

MOST = 500  # cases that one bulk answers
AT_ONCE = 32  # answers of a bulk that are under way
PATIENCE = 2.0  # seconds in which the book has followed the log, unless UIM is busy
PAUSE = 0.01
_reply = msgspec.json.Decoder(Reply)


class Result(BaseModel):
    """What became of one case of a bulk. status: answered, waiting (asked again, for it no longer held), or refused,
    with code and message."""

    id: str
    subject: str
    status: str
    action: str = ""
    args: dict[str, Any] = {}
    code: str = ""
    message: str = ""


async def answer(here: Context, id: str, action: str, args: dict[str, Any], by: str, words: str = "") -> Reply:
    """Refused: no such case, not offered; Conflict: answered before, which is recorded and changes nothing."""
    decision = await asyncio.to_thread(here.reader.decision, id)
    manager = decision.point.partition(".")[0]
    try:
        reply: Reply = _reply.decode(await here.link.call(manager, "answer", id, action, args, by, words))
    except Refused as error:
        if error.code == "no-case":
            await _late(here, CaseUpdate("late", id, by, words=words, action=action, args=args))
        raise
    await _followed(here, [id])
    return reply


async def approve(here: Context, id: str, by: str, words: str = "") -> Reply:
    """Take what was proposed. Refused: nothing was."""
    case = here.book().case(id)
    if case is None:
        await _late(here, CaseUpdate("late", id, by, words=words))
        raise Refused("no-proposal", "nothing was proposed", place=id, cure="answer with one of the actions offered")
    chosen = proposal_of(case)
    return await answer(here, id, chosen.action, chosen.args, by, words)


async def override(here: Context, id: str, action: str, args: dict[str, Any], by: str, words: str) -> Reply:
    """Choose something else than was proposed, and say why. Refused: it is the proposal."""
    case = here.book().case(id)
    proposal = case.proposal if case else None
    if proposal is not None and proposal.action == action and args.items() <= proposal.args.items():
        raise Refused("no-override", f"`{action}` is what was proposed", place="action", cure="approve it")
    return await answer(here, id, action, args, by, words)


async def bulk(
    here: Context, group: Group, ids: Sequence[str], action: str, args: dict[str, Any], by: str, words: str
) -> list[Result]:
    """Answer cases of a group, each for itself: with that action, or without one with what was proposed for it.
    ids: which; empty: its oldest open ones, `MOST` of them."""
    book, limit = here.book(), asyncio.Semaphore(AT_ONCE)
    ids = ids or [case.id for case in book.cases(group, limit=MOST)[0]]

    async def one(id: str) -> Result:
        case = book.case(id)
        if case is None or case.group != group.id:
            ended = book.state.closed.get(id)
            said = f"it was answered by {ended.by or ended.tier} before" if ended else "it is not of this group"
            return Result(id=id, subject=ended.subject if ended else "", status="refused", code="no-case", message=said)
        shown = {"id": id, "subject": case.subject}
        try:
            chosen = option_of(case, action, args) if action else proposal_of(case)
            async with limit:
                reply = await _hand_over(here, case, chosen, by, words)
        except EliasError as error:
            code = error.code if isinstance(error, Refused) else "unavailable"
            message = error.message if isinstance(error, Refused) else str(error)
            return Result(**shown, status="refused", code=code, message=message)
        return Result(**shown, status=reply.status, action=chosen.action, args=chosen.args)

    results = await asyncio.gather(*map(one, ids))
    await _followed(here, [result.id for result in results if result.status == "answered"])
    return results


async def say(here: Context, said: CaseUpdate) -> Group:
    """Record a person's word on a group. Refused; Conflict: somebody else has it."""
    await here.link.call("uim", "say", encode(said))
    return group_of(here.book(), said.case)


def group_of(book: Book, id: str) -> Group:
    """Raises Refused."""
    group = book.group(id)
    if group is None:
        cure = "`elias cases` lists the open ones; one that was answered is told by `elias explain`"
        raise Refused("no-case", f"no open case `{id}`", place="id", cure=cure)
    return group


def proposal_of(case: Case) -> Option:
    """Raises Refused."""
    if case.proposal is None:
        actions = ", ".join(dict.fromkeys(option.action for option in case.options))
        raise Refused("no-proposal", "nothing was proposed", place=case.id, cure=f"answer with one of: {actions}")
    return case.proposal


def option_of(case: Case, action: str, args: dict[str, Any]) -> Option:
    """The one option that is meant. Raises Refused."""
    found = [o for o in case.options if o.action == action and args.items() <= o.args.items()]
    if len(found) == 1:
        return found[0]
    if found:
        raise Refused("ambiguous", f"`{action}` is offered {len(found)} times", place="args", cure="say which by args")
    actions = ", ".join(dict.fromkeys(option.action for option in case.options))
    raise Refused("not-offered", f"`{action}` was not offered", place="action", cure=f"choose one of: {actions}")


async def _hand_over(here: Context, case: Case, chosen: Option, by: str, words: str) -> Reply:
    raw = await here.link.call(case.manager, "answer", case.id, chosen.action, chosen.args, by, words)
    return _reply.decode(raw)


async def _late(here: Context, said: CaseUpdate) -> None:
    """Raises Conflict if the case was answered; the answer that came too late is on record, unless it says the same."""
    now = await asyncio.to_thread(here.reader.decision, said.case)
    if now.status != "answered":
        return
    recorded = ""
    if now.by != said.by or said.action not in ("", now.action):
        try:
            await here.link.call("uim", "say", encode(said))
            recorded = "; yours is on record and changes nothing"
        except Temporary:
            recorded = "; yours changes nothing"
    what = f"`{now.action}` was answered by {now.by or now.tier} before{recorded}"
    raise Conflict("already-answered", what, place=said.case, cure=f"`elias explain {said.case}` shows it")


async def _followed(here: Context, ids: Sequence[str]) -> None:
    """Wait until the book shows the answers, so that whoever gave them does not see the cases again."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    attempts = {id: case.attempt for id in ids if (case := here.book().case(id)) is not None}
    while attempts and loop.time() < deadline:
        await asyncio.sleep(PAUSE)
        book = here.book()
        attempts = {id: n for id, n in attempts.items() if (case := book.case(id)) is not None and case.attempt == n}
