"""The page of one's own account, and that of all accounts for administrators."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from federation.errors import EliasError, Refused
from managers.uim.access import Person, Role, Scope, keeping, needs
from managers.uim.access.passwords import SHORTEST
from managers.uim.api import context
from managers.uim.api.accounts import account_of, session_of, token_of
from managers.uim.reading import iso
from managers.uim.web import render
from managers.uim.web.login import verbatim

router = APIRouter(include_in_schema=False)
Anybody = Annotated[Person, needs()]
Admin = Annotated[Person, needs(Scope.ACCOUNTS)]
RECENT = 50  # records of the audit trail on the page of accounts
_DAYS = (7, 30, 90, 366)


@router.get("/account")
async def own(request: Request, person: Anybody) -> Response:
    return await _own(request, person)


@router.post("/account/password")
async def password(request: Request, person: Anybody) -> Response:
    here, form = context.of(request).access, await render.form(request)
    old, new = verbatim(form, "old"), verbatim(form, "new")
    session = request.state.session.id if request.state.session else ""

    async def act() -> str:
        if new != verbatim(form, "again"):
            raise Refused("bad-form", "the new password was typed in two ways", cure="type the same one twice")
        await keeping.change_own_password(here, person, old, new, session, request.state.address)
        return "Your password is changed, and your other sessions have ended."

    return await _done(request, act, "/account")


@router.post("/account/tokens")
async def new_token(request: Request, person: Anybody) -> Response:
    """The one form that answers with a page of its own: the token must not be in an address or a cookie."""
    here, form = context.of(request).access, await render.form(request)
    try:
        scopes, days = frozenset(map(_scope, form.all("scope"))), _days(form.one("days"))
        made = await asyncio.to_thread(keeping.new_token, here, person, form.one("label", 64), scopes, days)
    except EliasError as error:
        return render.message(request, error)
    request.state.did = f"token {made[1].id}: {' '.join(sorted(made[1].scopes))}"
    return await _own(request, person, issued=made[0])


@router.post("/account/tokens/{id}/revoke")
async def revoke(request: Request, id: str, person: Anybody) -> Response:
    async def act() -> str:
        gone = await asyncio.to_thread(keeping.revoke, context.of(request).access, person, id)
        return f"The token {gone.id} is revoked."

    return await _done(request, act)


@router.post("/account/sessions/{id}/end")
async def end(request: Request, id: str, person: Anybody) -> Response:
    async def act() -> str:
        await asyncio.to_thread(keeping.end_session, context.of(request).access, person, id)
        return "That browser is signed out."

    return await _done(request, act, "/account")


@router.get("/accounts", dependencies=[needs(Scope.ACCOUNTS)])
async def accounts(request: Request) -> Response:
    here = context.of(request)
    access = here.access
    found, tokens, trail = await asyncio.gather(
        asyncio.to_thread(access.accounts.all),
        asyncio.to_thread(access.tokens.of, None),
        asyncio.to_thread(keeping.trail, here.store, RECENT, None),
    )
    return render.page(
        request,
        "accounts.html",
        accounts=list(map(account_of, found)),
        tokens=[token_of(token, access.owner.name) for token in tokens],
        trail=[(iso(time), word) for _, time, word in trail],
        roles=list(Role),
        shortest=SHORTEST,
    )


@router.post("/accounts", dependencies=[needs(Scope.ACCOUNTS)])
async def add(request: Request) -> Response:
    here, form = context.of(request).access, await render.form(request)
    name, password = form.one("name", 64), verbatim(form, "password")

    async def act() -> str:
        role = _role(form.one("role", 16))
        await here.hashing(lambda: here.accounts.add(name, role, password))
        request.state.did = f"{name}: {role}"
        return f"{name} may come in as {role}."

    return await _done(request, act, "/accounts")


@router.post("/accounts/{name}")
async def change(request: Request, name: str, person: Admin) -> Response:
    """One of: a role, disabled or enabled, a new password."""
    here, form = context.of(request).access, await render.form(request)

    async def act() -> str:
        if password := verbatim(form, "password"):
            await keeping.set_password(here, name, password)
            request.state.did = f"password of {name}"
            return f"{name} has a new password, and is signed out everywhere."
        role = _role(form.one("role", 16)) if form.one("role", 16) else None
        disabled = {"1": True, "0": False}.get(form.one("disabled", 1))
        changed = await asyncio.to_thread(keeping.change, here, person, name, role, disabled)
        request.state.did = f"{name}: {changed.role}{', disabled' if changed.disabled else ''}"
        return f"{name} {'may not come in any more' if changed.disabled else f'may come in as {changed.role}'}."

    return await _done(request, act, "/accounts")


async def _own(request: Request, person: Person, issued: str = "") -> Response:
    access = context.of(request).access
    sessions, tokens, account = await asyncio.gather(
        asyncio.to_thread(access.sessions.of, person.account),
        asyncio.to_thread(access.tokens.of, person.account),
        asyncio.to_thread(access.accounts.find, person.account),
    )
    shown: dict[str, Any] = {
        "sessions": [session_of(one) for one in sessions],
        "tokens": [token_of(one, access.owner.name) for one in tokens],
        "current": request.state.session.id if request.state.session else "",
        "has_password": account is not None and not account.subject,
        "issued": issued,
        "days": _DAYS,
        "shortest": SHORTEST,
    }
    return render.page(request, "account.html", **shown)


async def _done(request: Request, act: Callable[[], Awaitable[str]], to: str = "") -> Response:
    """Does it, and goes back to the page that says so; a mistake is shown instead."""
    try:
        told = await act()
    except EliasError as error:
        return render.message(request, error)
    return render.back(request, told, to)


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise Refused("bad-form", f"`{text}` is no role", cure=f"one of: {', '.join(Role)}") from None


def _scope(text: str) -> Scope:
    try:
        return Scope(text)
    except ValueError:
        raise Refused("bad-form", f"`{text[:64]}` is no scope", cure=f"some of: {', '.join(Scope)}") from None


def _days(text: str) -> float:
    if not text.isdecimal():
        raise Refused("bad-form", f"`{text[:16]}` is no number of days", cure="choose one of the form")
    return float(text)
