"""The ledger's database: one writer by epoch, any number of readers.

Every write begins with a guarded UPDATE of the lease row, in the same transaction: the database itself refuses an old
epoch, also when a process was stopped in the middle and resumes after another has taken over. Reads go up to the head
at the time of the call, in chunks of their own, so that no reader holds the database back.
"""

import heapq
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from sqlalchemy import Connection, Engine, Executable, Select, delete, insert, or_, select, text, true, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from federation.errors import Corrupt, Fenced, Refused, Temporary
from federation.ledger import engines, headship, tables
from federation.ledger import pairs as paired
from federation.ledger.engines import Row
from federation.ledger.faults import mapped
from federation.ledger.index import Mark
from federation.ledger.merkle import EMPTY, Tile
from federation.ledger.sidecar import Sidecar
from federation.records import Header, Record

CHUNK = 1000
_NO_END = 2**62
SNAPSHOTS_KEPT = 2


class Head(NamedTuple):
    """The ledger after a commit: how many records it has (the last one's seq), the last one's time (ns), the root of
    the Merkle tree over all of them, and the epoch that committed."""

    size: int
    time: int
    root: bytes
    epoch: int


class Lease(NamedTuple):
    """Who may append until when (ns). No holder: nobody has yet."""

    epoch: int
    holder: str
    expires: int


class Standing(NamedTuple):
    """What the ledger remembers of a writer: its incarnation, the number of that one's last batch (-1: none yet) and
    where it stands."""

    writer: str
    incarnation: int
    number: int
    first: int
    last: int
    time: int
    epoch: int


class Snapshot(NamedTuple):
    seq: int
    body: bytes


class Store:
    """Errors of all methods: Temporary (locked, full, unreachable: nothing was applied, except that a commit whose
    connection broke may have been), Corrupt (the database is damaged)."""

    def __init__(self, engine: Engine, place: str, database: Path | None = None) -> None:
        """database: the file, of a SQLite ledger."""
        self.engine = engine
        self.place = place
        self._sidecar = Sidecar(engine, database) if database else None

    @classmethod
    def open(cls, url: str, *, read_only: bool = False) -> Self:
        """url: `sqlite:///PATH`, a bare path, or `postgresql://user:password@host:port/database`. Made if it is not
        there, unless read_only. Refused: an address that cannot be right, or a ledger of a newer ELIAS."""
        try:
            address = make_url(url if ":" in url else f"sqlite:///{url}")
        except ArgumentError as error:
            raise _address(url, "this is no database URL") from error
        place = address.render_as_string(hide_password=True)
        backend = address.get_backend_name()
        with mapped(place, opening=True):
            if backend == "sqlite":
                path = _sqlite_path(place, address.database, read_only)
                store = cls(engines.sqlite_engine(path, read_only=read_only), place, path)
            elif backend == "postgresql":
                store = cls(engines.postgres_engine(address, read_only=read_only), place)
            else:
                raise _address(place, f"the ledger cannot be kept in {backend}")
            try:
                if backend == "postgresql" and not read_only:
                    engines.create(store.engine)
                if store._version() < tables.VERSION and not read_only:
                    engines.migrate(store.engine)
            except BaseException:
                store.close()
                raise
        return store

    def close(self) -> None:
        self.engine.dispose()

    def _version(self) -> int:
        with self.engine.connect() as connection:
            version = connection.execute(select(tables.schema.c.version)).scalar()
        if version is None:
            raise Corrupt(f"{self.place}: the ledger does not say which version it is; restore it from a copy")
        if version > tables.VERSION:
            raise Refused(
                "ledger.newer",
                f"the ledger has schema version {version}, this ELIAS reads up to {tables.VERSION}",
                place=self.place,
                cure="run the newer ELIAS that wrote it",
            )
        return int(version)

    # The lease

    def acquire(self, holder: str, now: int, ttl: int, *, force: bool = False, term: int = 0) -> int:
        """The new epoch, for `ttl` ns. Temporary while another holder's lease runs, unless `force`: whoever has ended
        the old process need not wait. Forcing is safe at any time, for the old epoch is refused from then on.

        term: of the headship, where several machines can be the head; Fenced when it is over."""
        c = tables.lease.c
        free = true() if force else or_(c.holder.in_(["", holder]), c.expires <= now)
        take = update(tables.lease).where(free).values(epoch=c.epoch + 1, holder=holder, expires=now + ttl)
        with mapped(self.place), self.engine.begin() as connection:
            if term:
                headship.guard(connection, term, self.place)
            epoch = connection.execute(take.returning(c.epoch)).scalar()
        if epoch is None:
            other = self.lease()
            seconds = max(0, other.expires - now) / 1e9
            raise Temporary(f"{self.place}: {other.holder} holds the lease for another {seconds:.1f} s; try again then")
        return int(epoch)

    def renew(self, epoch: int, now: int, ttl: int) -> None:
        """Fenced when another epoch has begun."""
        statement = text("UPDATE lease SET expires = :expires WHERE epoch = :epoch")
        with mapped(self.place), self.engine.begin() as connection:
            if connection.execute(statement, {"expires": now + ttl, "epoch": epoch}).rowcount == 0:
                raise self._fenced(epoch)

    def release(self, epoch: int) -> None:
        """Lets the next holder in at once. Nothing happens when another epoch has begun."""
        with mapped(self.place), self.engine.begin() as connection:
            released = connection.execute(text("UPDATE lease SET expires = 0 WHERE epoch = :epoch"), {"epoch": epoch})
            if released.rowcount and self._sidecar:
                self._sidecar.leave()

    def lease(self) -> Lease:
        statement = select(tables.lease.c.epoch, tables.lease.c.holder, tables.lease.c.expires)
        with mapped(self.place), self.engine.connect() as connection:
            row = connection.execute(statement).first()
        if row is None:
            raise Corrupt(f"{self.place}: the lease row is gone; restore the ledger from a copy")
        return Lease(*row)

    def _fenced(self, epoch: int) -> Fenced:
        return Fenced(f"{self.place}: epoch {epoch} is over, another appender has taken the lease")

    # Writing

    def commit(
        self, head: Head, rows: Sequence[Row], tiles: Sequence[Tile], standings: Sequence[Standing] = ()
    ) -> None:
        """Everything or nothing, under `head.epoch`. Fenced: another epoch has begun. Duplicate: a decision was asked
        or answered again for the same attempt."""
        with mapped(self.place), self.engine.begin() as connection:
            if connection.execute(_GUARD, {"epoch": head.epoch}).rowcount == 0:
                raise self._fenced(head.epoch)
            if self._sidecar:
                self._sidecar.enter(connection, Mark(head.size, head.root), rows)
            engines.insert_records(connection, rows)
            for tile in tiles:
                connection.execute(_TILE, tile._asdict())
            for standing in standings:
                connection.execute(_STANDING, standing._asdict())
            connection.execute(_CHECKPOINT, head._asdict())

    def snapshot_save(self, writer: str, seq: int, body: bytes) -> None:
        """The state of `writer` after record `seq`. The last two of each writer are kept."""
        older = select(tables.snapshots.c.seq).where(tables.snapshots.c.writer == writer)
        kept = older.order_by(tables.snapshots.c.seq.desc()).limit(SNAPSHOTS_KEPT)
        with mapped(self.place), self.engine.begin() as connection:
            key = {"writer": writer, "seq": seq}
            _replace(connection, tables.snapshots, key, {**key, "body": body})
            connection.execute(
                delete(tables.snapshots).where(tables.snapshots.c.writer == writer, tables.snapshots.c.seq.not_in(kept))
            )

    # Reading

    def head(self) -> Head:
        return next(self.checkpoints(newest=True), Head(0, 0, EMPTY, 0))

    def checkpoints(self, *, newest: bool = False) -> Iterator[Head]:
        """One for each commit, oldest first; or only the newest."""
        c = tables.checkpoints.c
        columns = select(c.size, c.time, c.root, c.epoch)
        if newest:
            rows = self.fetch(columns.order_by(c.size.desc()).limit(1))
            yield from itertools.starmap(Head, rows)
            return
        after = -1
        while rows := self.fetch(columns.where(c.size > after).order_by(c.size).limit(CHUNK)):
            yield from itertools.starmap(Head, rows)
            after = rows[-1].size

    def standings(self) -> list[Standing]:
        return [Standing(*row) for row in self.fetch(select(tables.writers))]

    def snapshot_load(self, writer: str, *, upto: int | None = None) -> Snapshot | None:
        """The newest snapshot of `writer`, or the newest that stands at `upto` or before."""
        c = tables.snapshots.c
        newest = select(c.seq, c.body).where(c.writer == writer).order_by(c.seq.desc()).limit(1)
        rows = self.fetch(newest if upto is None else newest.where(c.seq <= upto))
        return Snapshot(*rows[0]) if rows else None

    def read(
        self,
        *,
        after: int = 0,
        upto: int | None = None,
        kinds: Sequence[str] = (),
        points: Sequence[str] = (),
        writers: Sequence[str] = (),
        limit: int | None = None,
    ) -> Iterator[Record]:
        """Records with after < seq <= upto in order of seq; an empty filter lets everything through. Without `upto`
        they end at the head at the time of the first read, so whoever goes on from there misses nothing."""
        end = self.head().size if upto is None else upto
        c = tables.records.c
        statements = [_RECORDS.where(c.writer.in_(writers)) if writers else _RECORDS]
        if kinds or points:
            pairs = paired.pairs(self.fetch, kinds, points)
            statements = [statements[0].where(c.kind == kind, c.point == point) for kind, point in pairs]
        streams = [self._forward(statement, after, end, end if limit is None else limit) for statement in statements]
        merged = heapq.merge(*streams, key=lambda record: record.header.seq)
        yield from itertools.islice(merged, limit)

    def latest(
        self, limit: int, *, kinds: Sequence[str] = (), points: Sequence[str] = (), before: int | None = None
    ) -> list[Record]:
        """The newest `limit` records, newest first; the next page is before=the last one's seq."""
        c = tables.records.c
        end = _NO_END if before is None else before
        newest = _RECORDS.where(c.seq < end)
        if kinds or points:
            pairs = paired.pairs(self.fetch, kinds, points)
            if not pairs:
                return []
            newest = _RECORDS.where(c.seq.in_(paired.newest(pairs, limit, end)))
        return [_record(row) for row in self.fetch(newest.order_by(c.seq.desc()).limit(limit))]

    def decision(self, id: str) -> list[Record]:
        """All records of a decision, in order; empty when there is none."""
        c = tables.records.c
        if not id:
            return []
        if self._sidecar:
            with mapped(self.place):
                return [_record(row) for row in self._sidecar.records(id)]
        found = self.fetch(_RECORDS.where(c.decision == id, text("decision <> ''")).order_by(c.seq))
        return [_record(row) for row in found]

    def known(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The bodies with which those of `ids` were first asked (attempt 0) that were asked at all."""
        if self._sidecar:
            with mapped(self.place):
                return self._sidecar.first_asked(ids)
        where = "kind = 'asked' AND attempt = 0 AND decision <> '' AND decision = ANY(string_to_array(%s, ','))"
        with mapped(self.place), self.engine.connect() as connection:
            sql = f"SELECT decision, body FROM records WHERE {where}"  # noqa: S608
            return {row[0]: row[1] for row in connection.exec_driver_sql(sql, (",".join(ids),))}

    def hashes(self, level: int, first: int, count: int) -> list[bytes]:
        """Neighbouring hashes of the Merkle tree: leaves (level 0) or stored tiles, those that are there."""
        if level == 0:
            r = tables.records.c
            statement = select(r.leaf).where(r.seq > first, r.seq <= first + count).order_by(r.seq)
        else:
            t = tables.tiles.c
            statement = (
                select(t.hash)
                .where(t.level == level, t.position >= first, t.position < first + count)
                .order_by(t.position)
            )
        return [row[0] for row in self.fetch(statement)]

    def rows(self, *, upto: int) -> Iterator[tuple[Record, bytes]]:
        """All records up to `upto` with the leaf hashes that are stored beside them, unchecked."""
        c = tables.records.c
        after = None
        while chunk := self.fetch(
            _LEAVES.where(c.seq > after if after is not None else text("TRUE"), c.seq <= upto)
            .order_by(c.seq)
            .limit(CHUNK)
        ):
            for row in chunk:
                yield _record(row[:-1]), row[-1]
            after = chunk[-1].seq

    def _forward(self, statement: "Select[Any]", after: int, end: int, limit: int) -> Iterator[Record]:
        c = tables.records.c
        size = CHUNK // 8  # growing: of many streams that are merged, each is often read a little
        while limit > 0 and after < end:
            size = min(2 * size, CHUNK, limit)
            rows = self.fetch(statement.where(c.seq > after, c.seq <= end).order_by(c.seq).limit(size))
            yield from map(_record, rows)
            if len(rows) < size:
                return
            after, limit = rows[-1].seq, limit - len(rows)

    def fetch(self, statement: Executable) -> Sequence[Any]:
        """The rows of a statement on `tables`, in a transaction of its own."""
        with mapped(self.place), self.engine.connect() as connection:
            return connection.execute(statement).fetchall()


# Made once: a commit of one event would spend a tenth of its time on making them.
_GUARD = text("UPDATE lease SET epoch = epoch WHERE epoch = :epoch")
_TILE = insert(tables.tiles)
_CHECKPOINT = insert(tables.checkpoints)
_STANDING = text(
    "INSERT INTO writers (writer, incarnation, number, first, last, time, epoch) "
    "VALUES (:writer, :incarnation, :number, :first, :last, :time, :epoch) "
    "ON CONFLICT (writer) DO UPDATE SET incarnation = excluded.incarnation, number = excluded.number, "
    "first = excluded.first, last = excluded.last, time = excluded.time, epoch = excluded.epoch"
)

_RECORDS = select(*tables.records.c[:-1])
_LEAVES = select(tables.records)


def _record(row: Sequence[Any]) -> Record:
    return Record(Header(*row[:-1]), row[-1])


def _replace(connection: Connection, table: Any, key: dict[str, Any], values: dict[str, Any]) -> None:
    connection.execute(delete(table).filter_by(**key))
    connection.execute(insert(table), values)


def _address(place: str, message: str) -> Refused:
    cure = "write sqlite:///PATH or postgresql://user:password@host:port/database"
    return Refused("ledger.url", message, place=place, cure=cure)


def _sqlite_path(place: str, database: str | None, read_only: bool) -> Path:
    """Where there is a ledger, made if it may be."""
    if not database or database == ":memory:":
        raise _address(place, "a ledger in memory would not outlive its process")
    path = Path(database)
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        size = None
    except OSError as error:
        raise _unreadable(place, error.strerror) from error
    if size is None and read_only:
        cure = "see the path, or start ELIAS once to make it"
        raise Refused("ledger.open", "there is no ledger here", place=place, cure=cure)
    if size == 0:
        raise Corrupt(f"{place}: the file is empty, and a ledger never is; restore it from a copy")
    if size is None:
        try:
            engines.sqlite_create(path)
        except OSError as error:
            raise _unreadable(place, error.strerror) from error
    return path


def _unreadable(place: str, why: str | None) -> Refused:
    return Refused("ledger.open", why or "cannot be opened", place=place, cure="see the path and its permissions")
