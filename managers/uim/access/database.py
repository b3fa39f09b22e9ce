"""Where accounts, sessions and tokens are kept: beside the ledger and never in it, for what is there stays for ever.

A SQLite file of its own in the state folder, or the tables `access_*` in the PostgreSQL database of the ledger. Of
every secret there is only a hash.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from sqlalchemy import BigInteger, Boolean, Column, Connection, Engine, LargeBinary, MetaData, Table, Text
from sqlalchemy.engine import make_url

from federation.errors import Refused
from federation.ledger import engines
from federation.ledger.faults import mapped
from federation.settings import Settings

FILE = "access.db"  # in the state folder

metadata = MetaData()

# subject: whom an identity provider vouches for, as its issuer and `sub`; null where none does.
accounts = Table(
    "access_accounts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("password", Text, nullable=False),
    Column("subject", Text, unique=True),
    Column("disabled", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
)

# account: empty for the owner of the state folder, here and below. Times in ns since 1970.
sessions = Table(
    "access_sessions",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("account", Text, nullable=False, index=True),
    Column("created", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("address", Text, nullable=False),
    Column("agent", Text, nullable=False),
)

tokens = Table(
    "access_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key", LargeBinary, nullable=False),
    Column("account", Text, nullable=False, index=True),
    Column("label", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
)

links = Table(
    "access_links",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("expires", BigInteger, nullable=False),
)


class Database:
    """Errors of all that use it: Temporary (locked, full, unreachable), Corrupt (damaged)."""

    def __init__(self, engine: Engine, place: str) -> None:
        self.engine = engine
        self.place = place

    @classmethod
    def open(cls, settings: Settings) -> Self:
        address = make_url(settings.ledger_url)
        if address.get_backend_name() == "postgresql":
            made = cls(engines.postgres_engine(address), address.render_as_string(hide_password=True))
        else:
            path = settings.state / FILE
            try:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            except OSError as error:
                cure = "see the path and its permissions"
                raise Refused("access.open", error.strerror or str(error), place=str(path), cure=cure) from None
            made = cls(engines.sqlite_engine(path), str(path))
        with mapped(made.place, opening=True):
            metadata.create_all(made.engine)
        return made

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction: all of it, or nothing."""
        with mapped(self.place), self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()
