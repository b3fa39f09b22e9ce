"""Accounts: a name, a role, and how it is proved that somebody is who they say."""

import re
from typing import Any, NamedTuple

from sqlalchemy import insert, select, update

from federation.clock import Clock
from federation.errors import Refused
from federation.ledger.faults import Duplicate
from managers.uim.access import database, passwords
from managers.uim.access.database import Database
from managers.uim.access.person import Role

NAME = r"[a-z0-9][a-z0-9._@+-]{0,63}"
_table = database.accounts


class Account(NamedTuple):
    """password: its argon2 hash; empty: none, it comes in by the identity provider. created: ns since 1970."""

    name: str
    role: Role
    password: str
    subject: str | None
    disabled: bool
    created: int


class Accounts:
    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def all(self) -> list[Account]:
        with self._db.begin() as connection:
            return [_account(row) for row in connection.execute(select(_table).order_by(_table.c.name))]

    def find(self, name: str) -> Account | None:
        with self._db.begin() as connection:
            row = connection.execute(select(_table).where(_table.c.name == name)).first()
        return _account(row) if row else None

    def get(self, name: str) -> Account:
        """Raises Refused where there is none."""
        found = self.find(name)
        if found is None:
            raise Refused("no-account", f"there is no account `{name}`", cure="`elias accounts list` shows them")
        return found

    def add(self, name: str, role: Role, password: str = "", subject: str | None = None) -> Account:
        """Raises Refused: not a name, taken, or a weak password."""
        check_name(name)
        if subject is None:
            passwords.check(password, name)
        stored = passwords.hashed(password) if subject is None else ""
        made = Account(name, role, stored, subject, False, self._clock.now())
        try:
            with self._db.begin() as connection:
                connection.execute(insert(_table).values(**made._asdict()))
        except Duplicate:
            cure = "choose another name, or change that account"
            raise Refused("account-exists", f"there is an account `{name}` already", place="name", cure=cure) from None
        return made

    def change(self, name: str, *, role: Role | None = None, disabled: bool | None = None) -> Account:
        values = {k: v for k, v in (("role", role), ("disabled", disabled)) if v is not None}
        return self._update(name, **values) if values else self.get(name)

    def set_password(self, name: str, password: str) -> Account:
        passwords.check(password, name)
        return self._update(name, password=passwords.hashed(password))

    def proved(self, name: str, password: str) -> Account | None:
        """The account whose password this is. None: it is not, or there is no such account, or it is disabled; which
        of these can neither be read nor measured from outside."""
        found = self.find(name)
        if not passwords.matches(found.password if found else "", password) or found is None or found.disabled:
            return None
        if passwords.outdated(found.password):
            self._update(name, password=passwords.hashed(password))
        return found

    def provision(self, subject: str, name: str, role: Role) -> Account:
        """The account of somebody whom the identity provider vouches for, made at their first sign-in; their role is
        what the provider says now. Raises Refused: the name is another's, or the account is disabled."""
        with self._db.begin() as connection:
            row = connection.execute(select(_table).where(_table.c.subject == subject)).first()
        if row is None:
            return self.add(name, role, subject=subject)
        found = _account(row)
        if found.disabled:
            cure = "an administrator can enable it"
            raise Refused("disabled", f"the account `{found.name}` is disabled", cure=cure)
        return found if found.role == role else self._update(found.name, role=role)

    def _update(self, name: str, **values: Any) -> Account:
        with self._db.begin() as connection:
            row = connection.execute(
                update(_table).where(_table.c.name == name).values(**values).returning(_table)
            ).first()
        return _account(row) if row else self.get(name)


def check_name(name: str) -> None:
    if not re.fullmatch(NAME, name):
        cure = "small letters, digits and . _ @ + -, at most 64, such as `ada`"
        raise Refused("bad-name", f"`{name[:64]}` is not a name for an account", place="name", cure=cure)


def _account(row: Any) -> Account:
    return Account(row.name, Role(row.role), row.password, row.subject, bool(row.disabled), row.created)
