"""What a database error means to whoever called: it may pass, the ledger is damaged, or the address is wrong.

Codes: sqlite.org/rescode.html, and PostgreSQL's Appendix A (SQLSTATE).
"""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from federation.errors import Bug, Corrupt, EliasError, Refused, Temporary


class Duplicate(Bug):
    """A decision was asked or answered a second time for the same attempt; the database refused the whole commit."""


@contextmanager
def mapped(place: str, *, opening: bool = False) -> Iterator[None]:
    """Turns the errors of a database into ours. place: the ledger as its user knows it. opening: what cannot be opened
    now is the caller's mistake, while later it is a fault that may pass."""
    try:
        yield
    except DBAPIError as error:
        raise _meaning(error.orig or error, place, opening) from error
    except _driver_errors() as error:
        raise _meaning(error, place, opening) from error
    except NoConnection as error:
        raise Temporary(f"{place}: all connections to the database are in use; try again") from error


def _driver_errors() -> tuple[type[Exception], ...]:
    """With PostgreSQL's once there is a connection to one: who has SQLite is spared it, 70 ms and 3 MB a process."""
    driver = sys.modules.get("pg8000.dbapi")
    return (sqlite3.Error, OSError) if driver is None else (sqlite3.Error, OSError, driver.Error)


def _meaning(error: BaseException, place: str, opening: bool) -> EliasError:
    if isinstance(error, sqlite3.Error):
        return _sqlite(error, place, opening)
    return _postgres(error, place, opening)


_RESTORE = "restore it from a copy; `elias ledger verify` says how far a copy is sound"

_SQLITE_TEMPORARY = {
    sqlite3.SQLITE_BUSY: "the database is locked by another process; find who holds it with `fuser`, then try again",
    sqlite3.SQLITE_LOCKED: "the database is locked by another connection; try again",
    sqlite3.SQLITE_FULL: "the disk is full; free some space, nothing else is needed",
    sqlite3.SQLITE_IOERR: "the disk reports an input/output error; see the kernel log",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_PROTOCOL: "the database is locked by another process; try again",
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened; see its permissions and the limit on open files",
    sqlite3.SQLITE_READONLY: "the database cannot be written; see its permissions, and whether its disk is read-only",
    sqlite3.SQLITE_PERM: "the database file may not be opened; see its permissions",
}
_SQLITE_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_SQLITE_UNIQUE = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}
_SQLITE_ADDRESS = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
_FOREIGN = "this database holds no ledger"


def _sqlite(error: sqlite3.Error, place: str, opening: bool) -> EliasError:
    extended = getattr(error, "sqlite_errorcode", 0)
    code = extended & 0xFF  # the low byte is the primary code
    if extended in _SQLITE_UNIQUE:
        return Duplicate(f"{place}: {error}")
    if code in _SQLITE_CORRUPT:
        return Corrupt(f"{place}: {error}; {_RESTORE}")
    if opening and code in _SQLITE_ADDRESS:
        return Refused(
            "ledger.open", str(error), place=place, cure="see that the folder exists and that this user may write in it"
        )
    if opening and code == sqlite3.SQLITE_ERROR:
        return Refused("ledger.open", f"{_FOREIGN}: {error}", place=place, cure="see the path")
    if code in _SQLITE_TEMPORARY:
        return Temporary(f"{place}: {_SQLITE_TEMPORARY[code]} ({error})")
    return Bug(f"{place}: {error}")


_POSTGRES_TEMPORARY = {
    "08": "the connection to the database was lost; try again",
    "25P03": "the database ended a transaction that stood still; try again",
    "25006": "the database is read-only; it may be a standby, or in recovery",
    "40": "the database gave up on a transaction; try again",
    "53100": "the disk of the database is full; free some space, nothing else is needed",
    "53": "the database is short of resources; see max_connections and its memory",
    "55P03": "the database is locked by another process; see pg_stat_activity, then try again",
    "57": "the database is stopping or starting; try again",
    "58": "the database reports a system error; see its log",
}
_POSTGRES_ADDRESS = ("28", "3D", "42501")
_POSTGRES_CORRUPT = ("XX001", "XX002")


def sqlstate(error: BaseException) -> str:
    """The code of an error of PostgreSQL, as pg8000 carries it; empty where there is none."""
    return _detail(error).get("C", "")


def _detail(error: BaseException) -> dict[str, str]:
    return error.args[0] if error.args and isinstance(error.args[0], dict) else {}


def _postgres(error: BaseException, place: str, opening: bool) -> EliasError:
    code, said = sqlstate(error), _detail(error).get("M", str(error))
    if not code:
        cure = "the database does not answer; see that it runs and that its address is right"
        return Temporary(f"{place}: {cure} ({said})")
    if code == "23505":
        return Duplicate(f"{place}: {said}")
    if code in _POSTGRES_CORRUPT:
        return Corrupt(f"{place}: {said}; {_RESTORE}")
    if code.startswith(_POSTGRES_ADDRESS):
        return Refused("ledger.open", said, place=place, cure="see user, password and database name in the URL")
    if opening and code == "42P01":
        return Refused("ledger.open", f"{_FOREIGN}: {said}", place=place, cure="see the database name in the URL")
    for prefix, cure in _POSTGRES_TEMPORARY.items():
        if code.startswith(prefix):
            return Temporary(f"{place}: {cure} ({said})")
    return Bug(f"{place}: {said} (SQLSTATE {code})")
