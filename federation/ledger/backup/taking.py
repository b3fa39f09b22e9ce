"""Takes a back-up of a ledger that is being written.

Records and commits are only ever added, so they are read as they lie, in chunks of their own, up to the head of the
beginning; nothing is locked and no transaction stays open meanwhile, on either database. What does change is small,
and is read in one transaction together with that head. Every hash is computed again on the way: of a ledger that does
not hold there is no back-up.
"""

import itertools
from collections.abc import Iterator

import msgspec
from sqlalchemy import select

from federation.errors import Corrupt
from federation.ledger import tables
from federation.ledger.backup import archive
from federation.ledger.backup.archive import About, Commit, Rest, Writer
from federation.ledger.backup.proof import Tree, Unproven
from federation.ledger.faults import mapped
from federation.ledger.merkle import EMPTY, leaf_hash
from federation.ledger.store import Head, Standing, Store
from federation.ledger.verify import Progress

RECORDS = 2000  # in a part of the file, and a little more: a commit is never cut
BYTES = 8 * 2**20  # of bodies, likewise


def take(store: Store, writer: Writer, made: int, progress: Progress | None = None) -> Head:
    """Writes the ledger up to its head of now, and gives that head. made: ns since 1970. Corrupt: it does not hold."""
    head, rest = _standing(store)
    about = About(archive.FORMAT, made, store.place, head.size, head.time, head.root.hex(), head.epoch)
    writer.add(archive.FIRST, msgspec.json.encode(about))
    tree = Tree()
    for part in _parts(_commits(store, head)):
        first = tree.head.size + 1
        for commit in part:
            try:
                tree.add(commit)
            except Unproven as error:
                raise _corrupt(store, str(error)) from None
        writer.commits(first, part)
        if progress is not None:
            progress(tree.head.size, head.size)
    if tree.head != head:
        raise _corrupt(store, f"record {tree.head.size + 1} is missing")
    writer.add(archive.REST, msgspec.msgpack.encode(rest))
    return head


def _standing(store: Store) -> tuple[Head, Rest]:
    c, s = tables.checkpoints.c, tables.snapshots.c
    newest = select(c.size, c.time, c.root, c.epoch).order_by(c.size.desc()).limit(1)
    with mapped(store.place), store.engine.connect() as connection:
        if store.engine.dialect.name == "postgresql":  # of SQLite every transaction is so
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        row = connection.execute(newest).first()
        standings = [Standing(*found) for found in connection.execute(select(tables.writers))]
        snapshots = [(*found,) for found in connection.execute(select(s.writer, s.seq, s.body))]
        epoch = connection.execute(select(tables.lease.c.epoch)).scalar()
    if epoch is None:
        raise _corrupt(store, "the lease row is gone")
    return Head(*row) if row else Head(0, 0, EMPTY, 0), Rest(epoch, standings, snapshots)


def _commits(store: Store, head: Head) -> Iterator[Commit]:
    rows = store.rows(upto=head.size)
    done = 0
    for checkpoint in store.checkpoints():
        if checkpoint.size > head.size:
            return
        found = list(itertools.islice(rows, checkpoint.size - done))
        wrong = next((record.header.seq for record, leaf in found if leaf_hash(record.leaf()) != leaf), None)
        if wrong is not None:
            raise _corrupt(store, f"record {wrong} is not what was hashed when it was written")
        yield Commit(checkpoint.root, [(record.header, record.body) for record, _ in found])
        done = checkpoint.size


def _parts(commits: Iterator[Commit]) -> Iterator[list[Commit]]:
    part: list[Commit] = []
    records = size = 0
    for commit in commits:
        part.append(commit)
        records += len(commit.records)
        size += sum(len(body) for _, body in commit.records)
        if records >= RECORDS or size >= BYTES:
            yield part
            part, records, size = [], 0, 0
    if part:
        yield part


def _corrupt(store: Store, what: str) -> Corrupt:
    return Corrupt(f"{store.place}: {what}, so there is no back-up of it; restore the last one that was made")
