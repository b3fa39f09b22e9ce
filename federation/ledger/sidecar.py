"""Keeps the index of decision ids in step with the records of a SQLite ledger, and looks decisions up with it.

The records are the truth. The appender enters what it commits before it commits it, and first of all what is missing;
where there is no index that it can trust, everything is missing. A reader uses the index as far as it goes and searches
the records after that one by one: all of them where there is no index, so that a copy of the database alone reads
right.
"""

import logging
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from federation.errors import Temporary
from federation.ledger.engines import Row
from federation.ledger.index import Index, Key, Mark, Unusable
from federation.ledger.merkle import EMPTY

CHUNK = 50_000
"""Records between two marks while missing ones are entered."""

_ALL = 2**62  # past the last record there can be
_AT_ONCE = 1000  # values in a statement; SQLite takes 32,766
_key = itemgetter(0, 8, 5, 9)
_log = logging.getLogger("elias.ledger")


class Sidecar:
    """The file PATH-index beside the database PATH."""

    def __init__(self, engine: Engine, database: Path) -> None:
        self._engine = engine
        self._path = database.with_name(f"{database.name}-index")
        self._reading: Index | None = None  # one that held every record when it was opened
        self._writing: Index | None = None

    # Looking up

    def records(self, decision: str) -> list[Sequence[Any]]:
        """The rows of a decision, without their leaves, in order."""
        columns = "seq, time, epoch, writer, incarnation, kind, point, subject, decision, attempt, body"
        return [row for row in self._candidates([decision], columns, "decision <> ''") if row[8] == decision]

    def first_asked(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The bodies with which those of the ids that were asked were asked first (attempt 0)."""
        condition = "+kind = 'asked' AND attempt = 0 AND decision <> ''"  # plus: by seq, not along the index of kinds
        wanted = set(ids)
        return {id: body for id, body in self._candidates(ids, "decision, body", condition) if id in wanted}

    def _candidates(self, ids: Sequence[str], columns: str, condition: str) -> Iterator[Sequence[Any]]:
        """Every record of the ids up to the head of now that meets the condition, in order, and maybe some others."""
        index, covered, head = self._covering()
        found = [seq for seq in index.find(ids) if seq <= covered] if index else []
        if not found and covered == head:
            return
        select = f"SELECT {columns} FROM records WHERE {condition} AND"  # noqa: S608
        with self._engine.connect() as connection:
            for part in _parts(found):
                yield from connection.exec_driver_sql(f"{select} seq IN ({_marks(part)}) ORDER BY seq", tuple(part))
            if covered < head:
                beyond = f"{select} seq > ? AND seq <= ? AND decision IN"
                for names in _parts(ids):
                    values = (covered, head, *names)
                    yield from connection.exec_driver_sql(f"{beyond} ({_marks(names)}) ORDER BY seq", values)

    def _covering(self) -> tuple[Index | None, int, int]:
        """An index of this ledger, the seq up to which every record is in it, and the size of the ledger."""
        index = self._reading
        if index is not None and index.keeps_up():
            return index, _ALL, _ALL  # the database need not be asked: that is most of the cost of an id that is new
        self._reading = None
        with self._engine.connect() as connection:
            head = _head(connection)
        try:
            index = Index(self._path, write=False)
        except Unusable:
            return None, 0, head.size
        marks = index.marks()  # before the ledger is asked for them: the older one at least is committed by then
        with self._engine.connect() as connection:
            reached = _reached(connection, marks)
        if reached is None:
            return None, 0, head.size
        if not index.covers(head):
            return index, min(reached.size, head.size), head.size
        self._reading = index
        return index, head.size, head.size

    # Entering

    def enter(self, connection: Connection, head: Mark, rows: Sequence[Row]) -> None:
        """What the transaction of this connection is about to commit. Duplicate: a decision is asked or answered again.
        Temporary: there is no room for the index, or it may not be written."""
        committed = _head(connection)
        keys = [key for key in map(_key, rows) if key[1]]

        def taken(seq: int, key: Key) -> bool:
            if seq > committed.size:  # of this commit, or left by one that was cut short
                return seq < key[0] and _key(rows[seq - rows[0][0]])[1:] == key[1:]
            sql = "SELECT decision, kind, attempt FROM records WHERE seq = ?"
            row = connection.exec_driver_sql(sql, (seq,)).first()
            return row is not None and tuple(row) == key[1:]

        try:
            try:
                index = self._ready(connection, committed)
                index.add(keys, head.size, taken)
            except Unusable:
                index = self._anew(connection, committed)
                index.add(keys, head.size, taken)
        except (OSError, Unusable) as error:
            cure = "free some space, or see who may write it; it can be deleted, and is then made anew"
            raise Temporary(f"{self._path}: the index of decisions cannot be written ({error}); {cure}") from error
        index.mark(head, committed)

    def leave(self) -> None:
        """To be called in a transaction that writes: leaves the index whole on the disk."""
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    def _ready(self, connection: Connection, committed: Mark) -> Index:
        """The index, with every record up to `committed` in it."""
        index = self._writing
        if index is not None and index.linked() and committed in index.marks():
            index.settle(committed)
            return index
        self._writing = None
        index = Index(self._path, write=True)
        index.recover(committed)
        reached = _reached(connection, index.marks())
        if reached is None:
            raise Unusable
        return self._filled(connection, index, reached, committed)

    def _anew(self, connection: Connection, committed: Mark) -> Index:
        return self._filled(connection, Index.make(self._path), Mark(0, EMPTY), committed)

    def _filled(self, connection: Connection, index: Index, reached: Mark, committed: Mark) -> Index:
        missing = committed.size - reached.size
        if missing > CHUNK:
            _log.info("%s: indexing the decisions of %d records", self._path, missing)
        while reached.size < committed.size:
            sql = "SELECT size, root FROM checkpoints WHERE size >= ? ORDER BY size LIMIT 1"
            upto = Mark(*connection.exec_driver_sql(sql, (min(reached.size + CHUNK, committed.size),)).one())
            sql = "SELECT seq, decision, kind, attempt FROM records WHERE seq > ? AND seq <= ? AND decision <> ''"
            cursor = connection.connection.cursor()  # its plain tuples take a third of the time of rows
            cursor.execute(f"{sql} ORDER BY seq", (reached.size, upto.size))
            index.add(cursor.fetchall(), upto.size)
            cursor.close()
            index.mark(upto, reached)
            reached = upto
            if missing > CHUNK:
                _log.info("%s: %d of %d records", self._path, reached.size, committed.size)
        self._writing = index
        return index


def _head(connection: Connection) -> Mark:
    """The newest commit that the connection sees."""
    row = connection.exec_driver_sql("SELECT size, root FROM checkpoints ORDER BY size DESC LIMIT 1").first()
    return Mark(*row) if row else Mark(0, EMPTY)


def _reached(connection: Connection, marks: Sequence[Mark]) -> Mark | None:
    """The greatest of the marks that is one of the ledger's commits."""
    for mark in sorted(marks, reverse=True):
        row = connection.exec_driver_sql("SELECT root FROM checkpoints WHERE size = ?", (mark.size,)).first()
        if mark.root == (row[0] if row else EMPTY if mark.size == 0 else None):
            return mark
    return None


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for at in range(0, len(values), _AT_ONCE):
        yield values[at : at + _AT_ONCE]


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
