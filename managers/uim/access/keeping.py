"""What people do with accounts, sessions and tokens, theirs and others', and what of it is refused to them.

The API and the pages both call these. Those that hash a password are coroutines; the others belong in a thread.
"""

import asyncio
from collections.abc import Awaitable, Callable

from federation.errors import Refused
from federation.ledger.store import Store
from federation.records import Access, Kind, decode
from managers.uim.access.accounts import Account
from managers.uim.access.apitokens import Token
from managers.uim.access.entrance import Entrance
from managers.uim.access.person import Person, Role, Scope
from managers.uim.access.throttle import TooSoon

Audit = Callable[[Access], Awaitable[None]]


async def sign_in(
    here: Entrance, refused: Callable[[str], None], audit: Audit, name: str, password: str, address: str
) -> Account:
    """The account of this name and password, on record either way. Raises Refused, TooSoon or Temporary."""
    name = name.strip().lower()
    try:
        account = await here.by_password(name, password, address)
    except TooSoon:
        raise
    except Refused:
        refused(address)
        # A name that nobody has may be a password in the wrong field.
        known = len(name) <= 64 and await asyncio.to_thread(here.accounts.find, name) is not None
        await audit(Access("sign-in refused", name if known else "", "password", address, 401))
        raise
    await audit(Access("signed in", account.name, "password", address))
    return account


async def change_own_password(here: Entrance, person: Person, old: str, new: str, session: str, address: str) -> None:
    """session: the public id of the one that goes on; all others end. Raises Refused, TooSoon."""
    _in_person(person)
    if not person.account:
        cure = "it comes in with the token of the state folder; `elias accounts add` makes an account"
        raise Refused("no-password", f"{person.name} owns this installation and has no password", cure=cure)
    account = await asyncio.to_thread(here.accounts.get, person.account)
    if account.subject:
        cure = "change it there"
        raise Refused("no-password", "your password is kept by your identity provider", cure=cure)
    await here.by_password(person.account, old, address)
    await here.hashing(lambda: here.accounts.set_password(person.account, new))
    await asyncio.to_thread(here.sessions.end, person.account, but=session)


async def set_password(here: Entrance, name: str, new: str) -> None:
    """An administrator's word: whoever was signed in with the old password is so no more."""
    account = await asyncio.to_thread(here.accounts.get, name)
    if account.subject:
        what = f"`{name}` comes in by the identity provider and has no password here"
        raise Refused("no-password", what, cure="set it there, or add an account of another name")
    await here.hashing(lambda: here.accounts.set_password(name, new))
    await asyncio.to_thread(here.sessions.end, name)


def change(here: Entrance, person: Person, name: str, role: Role | None, disabled: bool | None) -> Account:
    if person.account == name:
        cure = "ask another administrator, so that nobody locks themselves out"
        raise Refused("own-account", "this is your own account", place="name", cure=cure)
    account = here.accounts.get(name)
    if role is not None and account.subject:
        cure = "change their groups there, or `access.oidc.roles` in elias.yaml"
        raise Refused("role-elsewhere", f"the role of `{name}` comes from the identity provider", cure=cure)
    changed = here.accounts.change(name, role=role, disabled=disabled)
    if disabled:
        here.sessions.end(name)
    return changed


def tokens(here: Entrance, person: Person, everybodys: bool) -> list[Token]:
    if everybodys and not person.may(Scope.ACCOUNTS):
        cure = "leave `all` out to see your own"
        raise Refused("forbidden", "the tokens of others are for administrators", place="all", cure=cure)
    return here.tokens.of(None if everybodys else person.account)


def new_token(here: Entrance, person: Person, label: str, scopes: frozenset[Scope], days: float) -> tuple[str, Token]:
    _in_person(person)
    if beyond := scopes - person.scopes:
        what = f"you may not do this yourself: {', '.join(sorted(beyond))}"
        raise Refused("forbidden", what, place="scopes", cure=f"choose of {', '.join(sorted(person.scopes))}")
    return here.tokens.make(person.account, label, scopes, days)


def revoke(here: Entrance, person: Person, id: str) -> Token:
    """One's own; an administrator that of anybody."""
    return here.tokens.revoke(id, None if person.may(Scope.ACCOUNTS) else person.account)


def end_session(here: Entrance, person: Person, id: str) -> None:
    if not id or not here.sessions.end(person.account, id):
        raise Refused("no-session", f"there is no session `{id[:64]}` of yours", cure="it may have ended by itself")


def new_link(here: Entrance, person: Person) -> tuple[str, int]:
    _in_person(person)
    if person.account:
        cure = "it is made on the machine itself: `elias token --link`"
        raise Refused("in-person", "a link signs in as the owner of this installation, who alone makes one", cure=cure)
    return here.links.make()


def trail(store: Store, limit: int, before: int | None) -> list[tuple[int, int, Access]]:
    """The audit trail, newest first: seq, time (ns), word."""
    found = store.latest(limit, kinds=[Kind.ACCESS], before=before)
    return [(record.header.seq, record.header.time, decode(Kind.ACCESS, record.body)) for record in found]


def _in_person(person: Person) -> None:
    """A token that leaks must not give its finder another one that outlives it."""
    if person.via == "token":
        cure = "sign in at the page, or with `elias login`"
        raise Refused("in-person", "an API token cannot do this", cure=cure)


async def sign_in_owner(
    here: Entrance, refused: Callable[[str], None], audit: Audit, link: str, token: str, address: str
) -> None:
    """As the owner of the state folder, by a one-time link or by the token that lies there."""
    check, given, via = (here.links.take, link, "link") if link else (here.is_first_day, token, "first-day token")
    if not await here.by_secret(check, given, address):
        refused(address)
        what = "this link was used before, or is too old" if link else "this is not the token of this installation"
        raise Refused("sign-in", what, cure="`elias token --link` prints a new link")
    await audit(Access("signed in", here.owner.name, via, address))
