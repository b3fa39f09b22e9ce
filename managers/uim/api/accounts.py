"""Accounts, sessions and API tokens: who may come in, and as what."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from federation.records import Access
from managers.uim.access import Person, Role, Scope, keeping, needs
from managers.uim.access.accounts import Account as Stored
from managers.uim.access.apitokens import Token as StoredToken
from managers.uim.access.passwords import LONGEST
from managers.uim.access.sessions import Session as StoredSession
from managers.uim.api import context
from managers.uim.api.body import Body
from managers.uim.reading import iso

router = APIRouter(prefix="/v1", tags=["access"])
Anybody = Annotated[Person, needs()]
Admin = Annotated[Person, needs(Scope.ACCOUNTS)]
_Name = Annotated[str, Field(max_length=64)]
_Password = Annotated[str, Field(max_length=LONGEST)]


class Me(BaseModel):
    """via: `session`, `token`, or `first-day token`."""

    name: str
    role: Role
    scopes: list[Scope]
    via: str


class Account(BaseModel):
    """by: how it comes in, `password` or `oidc`."""

    name: str
    role: Role
    by: str
    disabled: bool
    created: str


class AccountList(BaseModel):
    accounts: list[Account]


class NewAccount(Body):
    name: _Name
    role: Role = Role.VIEWER
    password: _Password


class Change(Body):
    """What is to be different; the sessions of a disabled account end."""

    role: Role | None = None
    disabled: bool | None = None


class Password(Body):
    """Ends all sessions of the account."""

    new: _Password


class OwnPassword(Password):
    """old: it is asked for again, in case somebody else sits at your desk. Ends all sessions but the one that asks."""

    old: _Password


class Token(BaseModel):
    """account: whom it speaks for. scopes: bounded by the role of that account as it is now."""

    id: str
    account: str
    label: str
    scopes: list[Scope]
    created: str
    expires: str
    used: str | None = None


class TokenList(BaseModel):
    tokens: list[Token]


class NewToken(Body):
    """days: until it ends, at most 366."""

    label: str = Field("", max_length=64)
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope))
    days: float = Field(90.0, gt=0, le=366)


class Issued(Token):
    """secret: the token itself, shown this once."""

    secret: str


class Session(BaseModel):
    id: str
    created: str
    seen: str
    address: str
    agent: str


class SessionList(BaseModel):
    sessions: list[Session]


class Login(Body):
    name: _Name
    password: _Password
    label: str = Field("elias login", max_length=64)


class Opened(BaseModel):
    """session: sent as `Authorization: Bearer SESSION`, until it was idle for `access.session_idle`."""

    name: str
    session: str


class Link(BaseModel):
    """path: opened within 15 minutes it signs one browser in as the owner of this installation."""

    path: str
    expires: str


class Trail(BaseModel):
    """Newest first. next: the `before` of the next page."""

    records: list[dict[str, str | int]]
    next: int | None = None


@router.get("/me", summary="Who you are, and what you may do")
async def me(person: Anybody) -> Me:
    return Me(name=person.name, role=person.role, scopes=sorted(person.scopes), via=person.via)


@router.put("/me/password", summary="Change your own password", status_code=204)
async def my_password(request: Request, body: OwnPassword, person: Anybody) -> Response:
    here, session = context.of(request).access, _session(request)
    await keeping.change_own_password(here, person, body.old, body.new, session, request.state.address)
    return Response(status_code=204)


@router.get("/me/sessions", summary="Browsers that are signed in as you")
async def my_sessions(request: Request, person: Anybody) -> SessionList:
    here = context.of(request).access
    found = await asyncio.to_thread(here.sessions.of, person.account)
    return SessionList(sessions=list(map(session_of, found)))


@router.delete("/me/sessions/{id}", summary="Sign one of them out", status_code=204)
async def end_session(request: Request, id: str, person: Anybody) -> Response:
    await asyncio.to_thread(keeping.end_session, context.of(request).access, person, id)
    return Response(status_code=204)


@router.get("/accounts", summary="All accounts", dependencies=[needs(Scope.ACCOUNTS)])
async def accounts(request: Request) -> AccountList:
    found = await asyncio.to_thread(context.of(request).access.accounts.all)
    return AccountList(accounts=list(map(account_of, found)))


@router.post("/accounts", summary="Add an account", status_code=201, dependencies=[needs(Scope.ACCOUNTS)])
async def add(request: Request, body: NewAccount) -> Account:
    here = context.of(request).access
    request.state.did = f"{body.name}: {body.role}"
    return account_of(await here.hashing(lambda: here.accounts.add(body.name, body.role, body.password)))


@router.patch("/accounts/{name}", summary="Change the role of an account, disable or enable it")
async def change(request: Request, name: str, body: Change, person: Admin) -> Account:
    here = context.of(request).access
    request.state.did = f"{name}: {', '.join(f'{k}={v}' for k, v in body.model_dump(exclude_none=True).items())}"
    return account_of(await asyncio.to_thread(keeping.change, here, person, name, body.role, body.disabled))


@router.put(
    "/accounts/{name}/password",
    summary="Set the password of an account",
    status_code=204,
    dependencies=[needs(Scope.ACCOUNTS)],
)
async def password(request: Request, name: str, body: Password) -> Response:
    request.state.did = f"password of {name}"
    await keeping.set_password(context.of(request).access, name, body.new)
    return Response(status_code=204)


@router.get("/tokens", summary="Your API tokens, or those of all")
async def tokens(request: Request, person: Anybody, all: bool = False) -> TokenList:
    here = context.of(request).access
    found = await asyncio.to_thread(keeping.tokens, here, person, all)
    return TokenList(tokens=[token_of(one, here.owner.name) for one in found])


@router.post("/tokens", summary="Make an API token", status_code=201)
async def new_token(request: Request, body: NewToken, person: Anybody) -> Issued:
    here = context.of(request).access
    wanted = frozenset(body.scopes)
    secret, made = await asyncio.to_thread(keeping.new_token, here, person, body.label, wanted, body.days)
    request.state.did = f"token {made.id}: {' '.join(sorted(made.scopes))}"
    return Issued(**token_of(made, here.owner.name).model_dump(), secret=secret)


@router.delete("/tokens/{id}", summary="Revoke an API token", status_code=204)
async def revoke(request: Request, id: str, person: Anybody) -> Response:
    await asyncio.to_thread(keeping.revoke, context.of(request).access, person, id)
    return Response(status_code=204)


@router.post("/links", summary="A one-time link that signs the owner in", status_code=201)
async def link(request: Request, person: Admin) -> Link:
    here = context.of(request).access
    secret, expires = await asyncio.to_thread(keeping.new_link, here, person)
    return Link(path=f"/login?link={secret}", expires=iso(expires))


@router.get(
    "/access", summary="The audit trail: who came in, and who changed what", dependencies=[needs(Scope.ACCOUNTS)]
)
async def trail(
    request: Request, limit: Annotated[int, Query(ge=1, le=500)] = 50, before: Annotated[int | None, Query(ge=0)] = None
) -> Trail:
    found = await asyncio.to_thread(keeping.trail, context.of(request).store, limit, before)
    rows = [{"seq": seq, "time": iso(time), **_plain(word)} for seq, time, word in found]
    return Trail(records=rows, next=found[-1][0] if len(found) == limit else None)


@router.post("/login", summary="A session for a name and a password (no token needed)", status_code=201)
async def login(request: Request, body: Login) -> Opened:
    whole, address = context.of(request), request.state.address
    here = whole.access
    account = await keeping.sign_in(here, whole.refused, whole.audit, body.name, body.password, address)
    session = await asyncio.to_thread(here.sessions.begin, account.name, address, body.label)
    return Opened(name=account.name, session=session)


@router.post("/logout", summary="End the session of this request", status_code=204)
async def logout(request: Request, person: Anybody) -> Response:
    await asyncio.to_thread(keeping.end_session, context.of(request).access, person, _session(request))
    return Response(status_code=204)


def account_of(stored: Stored) -> Account:
    by = "oidc" if stored.subject else "password"
    return Account(name=stored.name, role=stored.role, by=by, disabled=stored.disabled, created=iso(stored.created))


def token_of(stored: StoredToken, owner: str) -> Token:
    return Token(
        id=stored.id,
        account=stored.account or owner,
        label=stored.label,
        scopes=sorted(stored.scopes),
        created=iso(stored.created),
        expires=iso(stored.expires),
        used=iso(stored.used) if stored.used else None,
    )


def session_of(stored: StoredSession) -> Session:
    shown = stored._asdict() | {"created": iso(stored.created), "seen": iso(stored.seen)}
    return Session(**{name: shown[name] for name in Session.model_fields})


def _session(request: Request) -> str:
    """The public id of the session that this request came in by; empty: none."""
    return request.state.session.id if request.state.session else ""


def _plain(word: Access) -> dict[str, str | int]:
    return {name: getattr(word, name) for name in ("what", "who", "via", "address", "status", "detail")}
