"""What a database error means to whoever called: it may pass, the ledger is damaged, or the address is wrong.

Codes: sqlite.org/rescode.html, and PostgreSQL's Appendix A (SQLSTATE).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError

from federation.errors import Bug, Corrupt, EliasError, Refused, Temporary


class Duplicate(Bug):
    """A decision was asked or answered a second time for the same attempt; the database refused the whole commit."""


@contextmanager
def mapped(place: str, *, opening: bool = False) -> Iterator[None]:
    """Turns the errors of a database into ours. place: the ledger as its user knows it. opening: what cannot be opened
    now is the caller's mistake, while later it is a fault that may pass."""
    try:
        yield
    except IntegrityError as error:
        raise Duplicate(f"{place}: {error.orig}") from error
    except DBAPIError as error:
        if error.orig is not None and sqlstate(error.orig) == "23505":
            raise Duplicate(f"{place}: {error.orig}") from error
        raise meaning(error.orig, place, opening) from error


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE of an error of pg8000, else empty."""
    detail = error.args[0] if error.args else None
    return str(detail.get("C", "")) if isinstance(detail, dict) else ""


def meaning(error: BaseException | None, place: str, opening: bool) -> EliasError:
    if isinstance(error, sqlite3.Error):
        return _sqlite(error, place, opening)
    return _postgres(error, place, opening)


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
_SQLITE_ADDRESS = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}


def _sqlite(error: sqlite3.Error, place: str, opening: bool) -> EliasError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    if code in _SQLITE_CORRUPT:
        return Corrupt(f"{place}: {error}; restore it from a copy, `elias ledger verify` says how far a copy is sound")
    if opening and code in _SQLITE_ADDRESS:
        return Refused(
            "ledger.open", str(error), place=place, cure="see that the folder exists and that this user may write in it"
        )
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


def _postgres(error: BaseException | None, place: str, opening: bool) -> EliasError:
    code = sqlstate(error) if error is not None else ""
    said = error.args[0].get("M", "") if error is not None and code else str(error)
    if code.startswith("XX00") and code != "XX000":
        return Corrupt(f"{place}: {said}; restore it from a copy, `elias ledger verify` says how far a copy is sound")
    if code.startswith(_POSTGRES_ADDRESS):
        return Refused(
            "ledger.open", said, place=place, cure="see user, password and database name in the ledger's URL"
        )
    for prefix, cure in _POSTGRES_TEMPORARY.items():
        if code.startswith(prefix):
            return Temporary(f"{place}: {cure} ({said})")
    if not code:
        return Temporary(
            f"{place}: the database does not answer; see that it runs and that its address is right ({said})"
        )
    return Bug(f"{place}: {said} (SQLSTATE {code})")
