"""Which machine is the head of the cluster, where several can be: a lease in the PostgreSQL database of the ledger.

The clock of the database alone counts, so those of the machines may differ. Each time that another machine becomes the
head a term begins. Its number fences: no appender of an older term gets an epoch, whatever its machine believes.
"""

import secrets
from pathlib import Path
from typing import NamedTuple, Self

from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import make_url

from federation import privatefile
from federation.errors import Fenced
from federation.ledger import engines
from federation.ledger.faults import mapped

_CREATE = text(
    "CREATE TABLE IF NOT EXISTS headship (one integer PRIMARY KEY CHECK (one = 1), term bigint NOT NULL,"
    " holder text NOT NULL, name text NOT NULL, address text NOT NULL, until timestamptz NOT NULL)"
)
_FIRST = text("INSERT INTO headship VALUES (1, 0, '', '', '', clock_timestamp()) ON CONFLICT DO NOTHING")
_LOCK = text("SELECT pg_advisory_xact_lock(5121986)")  # two that create the table together fail otherwise
_TAKE = text(
    "UPDATE headship SET term = term + CASE WHEN holder = :holder THEN 0 ELSE 1 END, holder = :holder, name = :name,"
    " address = :address, until = clock_timestamp() + make_interval(secs => :ttl)"
    " WHERE holder = :holder OR until <= clock_timestamp() RETURNING term"
)
_RENEW = text(
    "UPDATE headship SET until = clock_timestamp() + make_interval(secs => :ttl)"
    " WHERE term = :term AND holder = :holder"
)
_RELEASE = text("UPDATE headship SET until = clock_timestamp() WHERE term = :term AND holder = :holder")
_GUARD = text("UPDATE headship SET term = term WHERE term = :term")


class Incumbent(NamedTuple):
    """The machine that is the head, or was the last one. address: of its control store. held: its lease has not run
    out."""

    term: int
    name: str
    address: str
    held: bool


class Headship:
    """The lease as one machine sees it. Temporary from every method: the database does not answer."""

    def __init__(self, engine: Engine, place: str, holder: str, ttl: float) -> None:
        """holder: this machine, for good. ttl: seconds that a lease lasts without being renewed."""
        self._engine, self._place, self._holder, self._ttl = engine, place, holder, ttl

    @classmethod
    def open(cls, url: str, state: Path, ttl: float) -> Self | None:
        """None: the ledger is not `shared`, so this machine alone can be the head."""
        address = make_url(url)
        if not shared(url):
            return None
        place = address.render_as_string(hide_password=True)
        made = cls(engines.postgres_engine(address), place, _holder(state), ttl)
        with mapped(place, opening=True), made._engine.begin() as connection:
            for statement in (_LOCK, _CREATE, _FIRST):
                connection.execute(statement)
        return made

    def take(self, name: str, address: str) -> int | None:
        """The term in which this machine is the head: the same as before where it still is. None: another one is."""
        with mapped(self._place), self._engine.begin() as connection:
            given = {"holder": self._holder, "name": name, "address": address, "ttl": self._ttl}
            term = connection.execute(_TAKE, given).scalar()
            return None if term is None else int(term)

    def renew(self, term: int) -> bool:
        """False: the term is over."""
        with mapped(self._place), self._engine.begin() as connection:
            given = {"holder": self._holder, "term": term, "ttl": self._ttl}
            return connection.execute(_RENEW, given).rowcount == 1

    def release(self, term: int) -> None:
        """Let another machine be the head at once."""
        with mapped(self._place), self._engine.begin() as connection:
            connection.execute(_RELEASE, {"holder": self._holder, "term": term})

    def incumbent(self) -> Incumbent:
        statement = text("SELECT term, name, address, until > clock_timestamp() FROM headship")
        with mapped(self._place), self._engine.connect() as connection:
            return Incumbent(*connection.execute(statement).one())

    def close(self) -> None:
        self._engine.dispose()


def shared(url: str) -> bool:
    """Whether several machines can reach this ledger; one in SQLite is in a folder of one machine."""
    return make_url(url).get_backend_name() == "postgresql"


def guard(connection: Connection, term: int, place: str) -> None:
    """Raises Fenced in this transaction unless this is the term, and keeps it so until the transaction ends."""
    if connection.execute(_GUARD, {"term": term}).rowcount == 0:
        raise Fenced(f"{place}: term {term} is over, another machine is the head")


def _holder(state: Path) -> str:
    """This machine, by a number in its state folder: it keeps it when its name or address changes."""
    path = state / "machine"
    if not path.exists():
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        privatefile.write(path, secrets.token_hex(16).encode())
    return path.read_text().strip()
