"""API tokens: what a program shows in place of a person, limited to some scopes and to a time.

A token reads `elias_ID_SECRET`. Its beginning tells people and secret scanners what it is, its id stands in lists and
in the audit trail, and its secret is shown once.
"""

import hmac
import re
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from federation.clock import DAY, SECOND, Clock
from federation.errors import Refused
from managers.uim.access import database, secret
from managers.uim.access.database import Database
from managers.uim.access.person import Person, Role, Scope

PREFIX = "elias_"
LONGEST = 366  # days
MOST = 100  # tokens of an account
STEP = 60 * SECOND  # how exactly it is kept when a token was last used
_FORM = re.compile(r"elias_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_table, _accounts = database.tokens, database.accounts


class Token(NamedTuple):
    """account: empty for the owner of the state folder. created, expires, used: ns since 1970; used 0: never."""

    id: str
    account: str
    label: str
    scopes: frozenset[Scope]
    created: int
    expires: int
    used: int


class Tokens:
    def __init__(self, db: Database, clock: Clock, owner: str) -> None:
        self._db = db
        self._clock = clock
        self._owner = owner

    def make(self, account: str, label: str, scopes: frozenset[Scope], days: float) -> tuple[str, Token]:
        """The token, which is not kept, and what is known of it. Raises Refused: no scope, or beyond a limit."""
        if not scopes:
            raise Refused("no-scope", "a token without a scope is good for nothing", place="scopes", cure=_SCOPES)
        if not 0 < days <= LONGEST:
            what = f"a token is good for up to {LONGEST} days"
            raise Refused("bad-expiry", what, place="days", cure="make a new one before it ends")
        now, made = self._clock.now(), secret.make()
        key = secret.key(made)
        token = Token(key[-6:].hex(), account, label[:64], scopes, now, now + round(days * DAY), 0)
        c = _table.c
        with self._db.begin() as connection:
            connection.execute(delete(_table).where(c.expires <= now - 30 * DAY))
            count = connection.execute(select(func.count()).where(c.account == account)).scalar_one()
            if count >= MOST:
                cure = "revoke some: `elias tokens revoke ID`"
                raise Refused("too-many-tokens", f"an account has at most {MOST} tokens", cure=cure)
            row = token._asdict() | {"scopes": " ".join(sorted(scopes)), "key": key}
            connection.execute(insert(_table).values(**row))
        return f"{PREFIX}{token.id}_{made}", token

    def person(self, given: str) -> Person | None:
        """Whom a token speaks for: never with more than the role of its account allows now. None: it is none of ours,
        it has expired, or its account is disabled."""
        match = _FORM.fullmatch(given)
        if match is None:
            return None
        c, now = _table.c, self._clock.now()
        joined = _table.outerjoin(_accounts, _accounts.c.name == c.account)
        wanted = select(_table, _accounts.c.role, _accounts.c.disabled).select_from(joined).where(c.id == match[1])
        with self._db.begin() as connection:
            row = connection.execute(wanted).first()
        if row is None or not hmac.compare_digest(row.key, secret.key(match[2])):
            return None
        if row.expires <= now or row.disabled or (row.account and row.role is None):
            return None
        if row.used <= now - STEP:
            with self._db.begin() as connection:
                connection.execute(update(_table).where(c.id == row.id).values(used=now))
        role = Role(row.role) if row.account else Role.ADMIN
        return Person(row.account or self._owner, role, _token(row).scopes & role.scopes, "token", row.account)

    def of(self, account: str | None) -> list[Token]:
        """The tokens of an account, or of all; newest first."""
        c = _table.c
        wanted = select(_table).order_by(c.created.desc(), c.id)
        if account is not None:
            wanted = wanted.where(c.account == account)
        with self._db.begin() as connection:
            return [_token(row) for row in connection.execute(wanted)]

    def revoke(self, id: str, account: str | None) -> Token:
        """Raises Refused where there is no such token, or it is another's and `account` is given."""
        chosen: ColumnElement[bool] = _table.c.id == id
        if account is not None:
            chosen &= _table.c.account == account
        with self._db.begin() as connection:
            row = connection.execute(delete(_table).where(chosen).returning(_table)).first()
        if row is None:
            raise Refused("no-token-id", f"there is no token `{id[:64]}`", cure="`elias tokens list` shows them")
        return _token(row)


_SCOPES = f"name some of: {', '.join(Scope)}"


def _token(row: object) -> Token:
    found = {name: getattr(row, name) for name in Token._fields}
    return Token(**found | {"scopes": frozenset(map(Scope, found["scopes"].split()))})
