"""Puts a back-up in the place of a ledger: whole and verified, or not at all.

The new ledger is made beside the old one (SQLite: another file; PostgreSQL: one transaction) and read back out of the
database, every hash and every rule, before it takes its place. It begins under an epoch that nobody can have held:
whoever still holds one of before is refused, and so are its orders by the executors on the nodes, which remember the
greatest epoch that they met, also one that this back-up has never heard of. Epochs count starts of the appender, one
by one. So the seconds since 1970 are past all of them, and past those of an earlier restore.
"""

import fcntl
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Executable, insert, select, text, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from federation.clock import SECOND, Clock
from federation.errors import Corrupt, Refused, Temporary
from federation.ledger import engines, tables
from federation.ledger.backup import archive
from federation.ledger.backup.archive import Reader, Rest
from federation.ledger.backup.proof import Grown, Tree, Unproven
from federation.ledger.faults import mapped
from federation.ledger.store import Head, Lease, Store
from federation.ledger.verify import Progress, verify

HOLDER = "elias ledger restore"
_ASIDE = "`--aside` keeps it under another name and puts the back-up in its place"
_AT_ONCE = 250  # rows of an insert; SQLite takes 32,766 values
_PENDING = 0x4000_0000  # sqlite.org/fileformat2.html#the_lock_byte_page
_SHARED = (510, _PENDING + 2)  # length and start: whoever has a database open in WAL mode holds one of these locked

_c = tables.checkpoints.c
_NEWEST = select(_c.size, _c.time, _c.root, _c.epoch).order_by(_c.size.desc()).limit(1)
_l = tables.lease.c
_LEASE = select(_l.epoch, _l.holder, _l.expires).with_for_update()


class Restored(NamedTuple):
    """The ledger as it is now: its head, the epoch after which it goes on, and under which name the one of before is
    kept; empty: there was none, or it held nothing."""

    head: Head
    epoch: int
    aside: str


def check(path: Path, progress: Progress | None = None) -> Head:
    """What a back-up holds, every digest and every hash computed again. Refused: it is damaged, or none."""
    with Reader(path) as reader:
        _walk(reader, lambda grown: None, progress)
        return reader.about.head


def restore(
    backup: Path,
    url: str,
    clock: Clock,
    *,
    aside: bool = False,
    beside: Callable[[], None] = lambda: None,
    progress: Progress | None = None,
) -> Restored:
    """The ledger of the back-up at this address. aside: one that is there, and holds records or is damaged, is kept
    under another name. beside: called when all is verified and nothing changed yet; what it raises leaves it so.

    Refused: one is there, and `aside` was not said; the back-up is damaged, or none; the address cannot be right.
    Temporary: an appender holds the ledger, or a process has it open. Nothing was changed then.
    """
    try:
        address = make_url(url if ":" in url else f"sqlite:///{url}")
    except ArgumentError:
        raise _address(url) from None
    with Reader(backup) as reader:
        if address.get_backend_name() == "sqlite" and address.database:
            return _into_file(reader, Path(address.database), clock, aside, beside, progress)
        if address.get_backend_name() == "postgresql":
            return _into_server(reader, address, clock.now(), aside, beside, progress)
    raise _address(address.render_as_string(hide_password=True))


# SQLite


def _into_file(
    reader: Reader, path: Path, clock: Clock, aside: bool, beside: Callable[[], None], progress: Progress | None
) -> Restored:
    place = f"sqlite:///{path}"
    before = _file_before(path, place, clock.now(), aside)
    new = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
    try:
        try:
            engines.sqlite_create(new)
            new.chmod(0o600)
        except OSError as error:
            raise _unusable(error, place) from None
        engine = engines.sqlite_engine(new, journal="DELETE")
        try:
            with mapped(place), engine.begin() as connection:
                head, epoch = _fill(connection, place, reader, _past(clock.now(), before), progress)
        finally:
            engine.dispose()
        beside()
        now = clock.now()
        before = _file_before(path, place, now, aside)  # again, for the filling takes its time
        if before is not None:
            _close(path, now)
        holds = path.exists() and (before is None or before.head.size)
        kept = path.with_name(f"{path.name}.before-{epoch}") if holds else None
        try:
            _put(new, path, kept)
        except OSError as error:
            raise _unusable(error, place) from None
    finally:
        new.unlink(missing_ok=True)
    return Restored(head, epoch, str(kept or ""))


class _Before(NamedTuple):
    """A ledger that is there, and sound as far as its head tells."""

    head: Head
    lease: Lease


def _file_before(path: Path, place: str, now: int, aside: bool) -> _Before | None:
    """None: there is none, or a damaged one that may be put aside."""
    if not path.exists():
        return None
    _not_in_use(path, place)
    try:
        store = Store.open(str(path), read_only=True)
        try:
            before = _Before(store.head(), store.lease())
        finally:
            store.close()
    except Corrupt as error:
        if aside:
            return None
        what = f"there is a ledger, and it is damaged: {error}"
        raise Refused("ledger.damaged", what, place=place, cure=_ASIDE) from None
    _free(before.lease, now, place)
    if before.head.size and not aside:
        raise _holds_records(before.head, place)
    return before


def _not_in_use(path: Path, place: str) -> None:
    """By the lock that SQLite holds on a file while it is open: also of one that cannot be read any more."""
    try:
        file = path.open("rb+")
    except OSError as error:
        raise _unusable(error, place) from None
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, *_SHARED)
        except OSError:
            cure = f"`elias down` first; `fuser {path}` names the process"
            raise Refused("ledger.in-use", "a process has this ledger open", place=place, cure=cure) from None


def _close(path: Path, now: int) -> None:
    """Ends the epoch of a sound ledger that is about to be put aside, and brings all of it into its one file."""
    store = Store.open(str(path))
    try:
        store.acquire(HOLDER, now, 0)
        with mapped(store.place), store.engine.connect() as connection:
            connection.commit()  # a checkpoint is made outside of any transaction
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        store.close()


def _put(new: Path, path: Path, kept: Path | None) -> None:
    """The name always names a ledger, the old or the new. What a damaged one has in its write-ahead log goes with it:
    beside another file that would be damage too."""
    if kept is not None:
        os.link(path, kept)
    for ending in ("-wal", "-shm", "-index"):
        there = path.with_name(path.name + ending)
        if kept is not None and ending == "-wal" and there.exists():
            there.replace(kept.with_name(kept.name + ending))
        there.unlink(missing_ok=True)
    new.replace(path)
    archive.sync(path.parent)


# PostgreSQL


def _into_server(
    reader: Reader, address: URL, now: int, aside: bool, beside: Callable[[], None], progress: Progress | None
) -> Restored:
    place = address.render_as_string(hide_password=True)
    Store.open(address.render_as_string(hide_password=False)).close()  # its errors, and tables that can be looked at
    engine = engines.postgres_engine(address)
    try:
        with mapped(place), engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")  # nobody waits for this one
            _no_head(connection, place)
            lease = Lease(*(connection.execute(_LEASE).first() or (0, "", 0)))
            _free(lease, now, place)
            newest = connection.execute(_NEWEST).first()
            before = _Before(Head(*newest), lease) if newest else None
            if before is None:
                tables.metadata.drop_all(connection)
                kept = ""
            elif aside:
                kept = _move(connection, f"elias_before_{_past(now, before)}")
            else:
                raise _holds_records(before.head, place)
            _make(connection)
            head, epoch = _fill(connection, place, reader, _past(now, before), progress)
            beside()
    finally:
        engine.dispose()
    return Restored(head, epoch, f"schema {kept}" if kept else "")


def _no_head(connection: Connection, place: str) -> None:
    """Of several machines that can be the head one may begin an epoch at any time, while it is the head."""
    if connection.dialect.has_table(connection, "headship"):
        name = connection.execute(text("SELECT name FROM headship WHERE until > clock_timestamp()")).scalar()
        if name is not None:
            cure = "`elias down` first, on every machine that can be; after `kill -9` try again in ten seconds"
            raise Temporary(f"{place}: {name} is the head; {cure}")


def _move(connection: Connection, schema: str) -> str:
    connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    for table in tables.metadata.sorted_tables:
        connection.exec_driver_sql(f"ALTER TABLE {table.name} SET SCHEMA {schema}")
    return schema


def _make(connection: Connection) -> None:
    tables.metadata.create_all(connection)
    connection.execute(insert(tables.lease).values(one=1, epoch=0, holder="", expires=0))
    connection.execute(insert(tables.schema).values(version=tables.VERSION))


# Both


def _fill(connection: Connection, place: str, reader: Reader, past: int, progress: Progress | None) -> tuple[Head, int]:
    """Into empty tables. past: an epoch that is over, as all up to it."""
    checkpoints: list[dict[str, Any]] = []

    def enter(grown: Grown) -> None:
        engines.insert_records(connection, grown.rows)
        if grown.tiles:
            connection.execute(insert(tables.tiles), [tile._asdict() for tile in grown.tiles])
        checkpoints.append(grown.head._asdict())
        if len(checkpoints) == _AT_ONCE:
            connection.execute(insert(tables.checkpoints).values(checkpoints))
            checkpoints.clear()

    rest = _walk(reader, enter, progress)
    if checkpoints:
        connection.execute(insert(tables.checkpoints).values(checkpoints))
    for standing in rest.standings:
        connection.execute(insert(tables.writers).values(standing._asdict()))
    for writer, seq, body in rest.snapshots:
        connection.execute(insert(tables.snapshots).values(writer=writer, seq=seq, body=body))
    epoch = max(past, rest.epoch, reader.about.epoch)
    connection.execute(update(tables.lease).values(epoch=epoch, holder="", expires=0))
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ANALYZE records")  # or each chunk of the reading below may sort all of them
    report = verify(_Within(connection, place), progress)
    if not report:
        raise reader.damaged(archive.LEDGER, str(report))
    return report.head, epoch


class _Within(Store):
    """A ledger as the transaction of this connection sees it."""

    def __init__(self, connection: Connection, place: str) -> None:
        super().__init__(connection.engine, place)
        self._connection = connection

    def fetch(self, statement: Executable) -> Sequence[Any]:
        with mapped(self.place):
            return self._connection.execute(statement).fetchall()


def _walk(reader: Reader, enter: Callable[[Grown], None], progress: Progress | None) -> Rest:
    """Every commit, proven; and what else there is of the ledger. Reads the file to its end."""
    tree, about = Tree(), reader.about
    rest: Rest | None = None
    for name, file in reader.members():
        if name == archive.REST:
            rest = reader.rest(file.read())
        elif name.startswith(archive.LEDGER):
            for commit in reader.commits(name, file.read()):
                try:
                    enter(tree.add(commit))
                except Unproven as error:
                    raise reader.damaged(name, str(error)) from None
            if progress is not None:
                progress(tree.head.size, about.size)
    if rest is None or tree.head != about.head:
        raise reader.damaged(archive.LEDGER, f"it leads to {tree.head.size} records, root {tree.head.root.hex()}")
    return rest


def _past(now: int, before: _Before | None) -> int:
    return max(now // SECOND, before.lease.epoch + 1 if before else 0)


def _free(lease: Lease, now: int, place: str) -> None:
    if lease.holder and lease.expires > now:
        seconds = (lease.expires - now) / SECOND
        what = f"{lease.holder} holds the lease for another {seconds:.1f} s: ELIAS runs, or was killed just now"
        raise Temporary(f"{place}: {what}; `elias down` first; after `kill -9` try again then")


def _holds_records(head: Head, place: str) -> Refused:
    return Refused("ledger.there", f"there is a ledger of {head.size} records", place=place, cure=_ASIDE)


def _unusable(error: OSError, place: str) -> Refused:
    cure = "see that the folder exists and that this user may write in it"
    return Refused("ledger.open", error.strerror or str(error), place=place, cure=cure)


def _address(place: str) -> Refused:
    cure = "write sqlite:///PATH or postgresql://user:password@host:port/database"
    return Refused("ledger.url", "a ledger cannot be kept there", place=place, cure=cure)
