"""The ledger: reached, sound as far as its ends go, writable, of this schema, and who appends to it."""

import re
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import quote

import psutil
from sqlalchemy import select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from federation.clock import SECOND
from federation.errors import Corrupt, EliasError, Refused, Temporary
from federation.ledger import engines, tables
from federation.ledger.faults import mapped
from federation.ledger.store import Lease, Store
from managers.uim.doctor import clock
from managers.uim.doctor.finding import ERROR, NOTE, OK, WARNING, Code, Finding
from managers.uim.doctor.here import Here

SOUND = Code("ledger.sound", OK, "the ledger is reached, may be written, and has the schema of this ELIAS")
NONE = Code("ledger.none", NOTE, "there is no ledger yet", "`elias up` makes it")
REFUSED = Code(
    "ledger.refused", ERROR, "the ledger's address is wrong, or this user may not open it", "correct `ledger.url`"
)
UNREACHABLE = Code(
    "ledger.unreachable",
    ERROR,
    "the database of the ledger does not answer, or does not do what it is asked",
    "see that it runs, and its log",
)
LOCKED = Code(
    "ledger.locked",
    ERROR,
    "another program holds the ledger locked",
    "find it with `fuser` on the file, and end it if it hangs",
)
READ_ONLY = Code(
    "ledger.read_only",
    ERROR,
    "the ledger cannot be written",
    "see its owner and mode, or that the database is no standby",
)
DAMAGED = Code(
    "ledger.damaged", ERROR, "the ledger is damaged", "restore a copy; `elias ledger verify` says how far one is sound"
)
NEWER = Code("ledger.newer", ERROR, "a newer ELIAS wrote the ledger", "install that one")
OLDER = Code("ledger.older", NOTE, "an older ELIAS wrote the ledger", "nothing: the next start brings its tables along")
STALE = Code(
    "ledger.stale",
    ERROR,
    "ELIAS runs, and nothing was put on record for longer than a tick allows",
    "see `appender.log` in the logs of the state folder, and the disk",
)
NO_HOLDER = Code(
    "ledger.no_holder",
    ERROR,
    "ELIAS runs, and nobody holds the epoch",
    "see `appender.log` in the logs of the state folder",
)
OTHER = Code(
    "ledger.other_holder",
    WARNING,
    "somebody else than the ELIAS of this state folder holds the epoch",
    "see that only one ELIAS uses the ledger",
)
ELSEWHERE = Code(
    "ledger.led_elsewhere",
    NOTE,
    "another machine has the ledger, and is the head of its cluster",
    "nothing; `elias up --head` here stands by for it",
)
WAITS = Code(
    "ledger.left_lease", NOTE, "an appender that has ended still holds the epoch", "nothing: its lease ends by itself"
)
FUTURE = Code(
    "ledger.future",
    WARNING,
    "the newest record is later than the clock of now: the clock was set back",
    "keep the clock right with NTP",
)

AHEAD = 5.0  # seconds that a record may be later than now: clocks of a cluster agree no better
_LOCKED = 2.0  # seconds that another writer may hold the ledger; a commit takes milliseconds

Holder = Literal["nobody", "ours", "alive", "gone", "elsewhere"]


class Seen(NamedTuple):
    """time: of the newest record (ns). holder: of the epoch, if its lease has not ended; elsewhere: it may be on
    another machine. ahead: of the database's clock before ours, in seconds. read_only: why it cannot be written."""

    place: str
    version: int
    size: int
    time: int
    lease: Lease
    holder: Holder
    read_only: str = ""
    ahead: float = 0.0


def check(here: Here) -> Iterator[Finding]:
    settings = here.settings
    try:
        place = make_url(settings.ledger_url).render_as_string(hide_password=True)
    except ArgumentError:  # its words may hold the password
        yield REFUSED.found("this is no database URL", "ledger.url")
        return
    try:
        seen = observe(settings.ledger_url, here.pids())
    except EliasError as error:
        yield problem(error, place)
        return
    if seen is None:
        yield NONE.found("it is made at the first start", "ledger.url")
        return
    yield from judge(seen, time.time_ns(), runs=here.runs, tick=settings.ledger.tick)
    yield from clock.judge_skew(seen.ahead, seen.place)


def observe(url: str, ours: frozenset[int]) -> Seen | None:
    """ours: pids of what runs for this state folder. None: there is no ledger. Raises what a Store does."""
    address = make_url(url)
    sqlite = address.get_backend_name() == "sqlite"
    read_only, ahead = "", 0.0
    if sqlite:
        path = Path(address.database or "")
        if address.database not in (None, "", ":memory:") and not path.exists():
            return None
    elif address.get_backend_name() == "postgresql":
        found = _server(url)
        if found is None:
            return None
        read_only, ahead = found
    store = Store.open(url, read_only=True)
    try:
        ((version,),) = store.fetch(select(tables.schema.c.version))
        head, lease = store.head(), store.lease()
        store.latest(1, before=head.size + 1)  # what the appender meets first
        if sqlite:
            read_only = _lockable(path, store.place)
        holder = _holder(lease, ours, sqlite=sqlite)
        return Seen(store.place, version, head.size, head.time, lease, holder, read_only, ahead)
    finally:
        store.close()


def _lockable(path: Path, place: str) -> str:
    """Why a SQLite ledger cannot be written. Raises Temporary while another program holds it locked."""
    with mapped(place), closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", _LOCKED, uri=True)) as connection:
        connection.isolation_level = None
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_READONLY:
                return str(error)
            raise
        connection.execute("ROLLBACK")
    return ""


_SERVER = text(
    "SELECT to_regclass('ledger_schema') IS NOT NULL, pg_is_in_recovery(), "
    "current_setting('default_transaction_read_only') = 'on', extract(epoch FROM clock_timestamp())"
)
_MAY = text("SELECT has_table_privilege('records', 'INSERT') AND has_table_privilege('lease', 'UPDATE')")


def _server(url: str) -> tuple[str, float] | None:
    """Of PostgreSQL: why it cannot be written, and by how much its clock is ahead. None: there is no ledger in it."""
    address = make_url(url)
    engine = engines.postgres_engine(address)
    try:
        with mapped(address.render_as_string(hide_password=True), opening=True), engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            before = time.time()
            there, standby, read_only, at = connection.execute(_SERVER).one()
            after = time.time()
            if not there:
                return None
            why = "it is a standby" if standby else "the database is set read-only" if read_only else ""
            if not why and not connection.execute(_MAY).scalar():
                why = "this user may not insert into its tables"
            return why, beyond(float(at), before, after)
    finally:
        engine.dispose()


def beyond(at: float, before: float, after: float) -> float:
    """By how many seconds a clock that said `at` is out of the time in which it was asked; behind it is negative."""
    return max(0.0, at - after) or min(0.0, at - before)


def _holder(lease: Lease, ours: frozenset[int], *, sqlite: bool) -> Holder:
    """The appender calls itself `pid N on HOST`; one of a SQLite ledger is on this machine."""
    found = re.fullmatch(r"pid (\d+)(?: on (.+))?", lease.holder)
    if not lease.holder or lease.expires <= time.time_ns():
        return "nobody"
    if found and int(found[1]) in ours:
        return "ours"
    if found is None or not (sqlite or found[2] == socket.gethostname()):
        return "elsewhere"
    return "alive" if psutil.pid_exists(int(found[1])) else "gone"


def problem(error: EliasError, place: str) -> Finding:
    """What it means that the ledger could not be read."""
    said = str(error).removeprefix(f"{place}: ")
    match error:
        case Refused(code="ledger.newer"):
            return NEWER.found(error.message, place)
        case Refused():
            return REFUSED.found(error.message, place, error.cure)
        case Corrupt():
            return DAMAGED.found(said, place)
        case Temporary() if "locked" in said:
            return LOCKED.found(said, place)
        case _:
            return UNREACHABLE.found(said, place)


def judge(seen: Seen, now: int, *, runs: bool, tick: float) -> Iterator[Finding]:
    """now: ns since 1970. tick: the longest time between two records, in seconds."""
    bad = list(_judge(seen, now, runs, tick))
    yield from bad
    if not any(one.severity is ERROR for one in bad):
        age = "none yet" if not seen.size else f"the newest {max(0.0, (now - seen.time) / SECOND):.0f} s old"
        yield SOUND.found(f"{seen.size} records, {age}; schema {seen.version}", seen.place)


def _judge(seen: Seen, now: int, runs: bool, tick: float) -> Iterator[Finding]:
    if seen.read_only:
        yield READ_ONLY.found(seen.read_only, seen.place)
    if seen.version < tables.VERSION:
        yield OLDER.found(f"schema version {seen.version}; this ELIAS writes {tables.VERSION}", seen.place)
    if seen.size and seen.time - now > AHEAD * SECOND:
        yield FUTURE.found(f"by {(seen.time - now) / SECOND:.0f} s", seen.place)
    left = (seen.lease.expires - now) / SECOND
    match seen.holder:
        case "nobody" if runs:
            yield NO_HOLDER.found(f"the lease of {seen.lease.holder or 'nobody'} has ended", seen.place)
        case "elsewhere" if not runs:
            yield ELSEWHERE.found(f"{seen.lease.holder}, for another {left:.0f} s", seen.place)
        case "alive" | "elsewhere":
            yield OTHER.found(f"{seen.lease.holder}, for another {left:.0f} s", seen.place)
        case "gone":
            yield WAITS.found(f"{seen.lease.holder}, for another {left:.0f} s", seen.place)
    age = (now - seen.time) / SECOND
    if runs and age > 3 * tick + 1:  # the rule of /readyz
        yield STALE.found(f"the newest record is {age:.0f} s old, and a tick has {tick:g} s", seen.place)
