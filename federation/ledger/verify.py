"""Whether a ledger is what was written: every hash computed again, every rule of the log checked.

The checkpoints are in the same database as the records, so whoever can rewrite all of it can rewrite the tree as well,
or cut off the end. Against that stands a witness: a head that was noted elsewhere (`elias ledger verify` prints it,
every audit bundle carries one).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from sqlalchemy import case, func, select

from federation.ledger import merkle, tables
from federation.ledger.appender import WRITER
from federation.ledger.merkle import Frontier
from federation.ledger.store import Head, Store
from federation.records import Header, Kind, Record

Progress = Callable[[int, int], None]
"""Called with how many records are done, and of how many."""

_REPORT_EVERY = 1000


class Fault(NamedTuple):
    """The first thing that is wrong: in one of the records from seq `first` to `last`."""

    first: int
    last: int
    what: str


class Report(NamedTuple):
    """What was verified, up to which head; no fault: everything holds."""

    head: Head
    fault: Fault | None = None

    def __bool__(self) -> bool:
        return self.fault is None

    def __str__(self) -> str:
        if self.fault is None:
            return f"{self.head.size} records hold, root {self.head.root.hex()}"
        first, last, what = self.fault
        return f"record {first}: {what}" if first == last else f"one of the records {first} to {last}: {what}"


def verify(store: Store, progress: Progress | None = None, *, witness: Head | None = None) -> Report:
    """The whole ledger up to its head of now; an appender may go on meanwhile. witness: a head noted before, size and
    root are compared. Damage of the database itself is raised as Corrupt."""
    head = store.head()
    if witness is not None and witness.size > head.size:
        missing = Fault(head.size + 1, witness.size, "gone; the witness has seen it")
        return Report(head, missing)
    found = _walk(store, head, progress or (lambda done, total: None), witness)
    fault = next(found, None) or _decisions(store, head.size) or _past_the_end(store)
    return Report(head, fault)


def _walk(store: Store, head: Head, progress: Progress, witness: Head | None) -> Iterator[Fault]:
    rules = _Rules()
    tree = _Tree(store, witness)
    for record, leaf in store.rows(upto=head.size):
        seq = rules.size + 1
        what = rules.broken(record.header)
        if what is None and merkle.leaf_hash(record.leaf()) != leaf:
            what = "its header or its body is not what was hashed when it was written"
        if what is not None:
            yield Fault(seq, seq, what)
            return
        yield from tree.add(record, leaf)
        if seq % _REPORT_EVERY == 0:
            progress(seq, head.size)
    if rules.size < head.size:
        yield Fault(rules.size + 1, rules.size + 1, "missing")
    for standing in store.standings():
        if standing.last <= head.size and rules.incarnations.get(standing.writer) != standing.incarnation:
            what = (
                f"the table of writers holds incarnation {standing.incarnation} of {standing.writer}, the log another"
            )
            yield Fault(standing.first, standing.last, what)
    progress(head.size, head.size)


class _Rules:
    """The rules of the log that a header alone can break."""

    def __init__(self) -> None:
        self.size = 0
        self.time = 0
        self.epoch = 0
        self.incarnations: dict[str, int] = {}

    def broken(self, header: Header) -> str | None:
        if header.seq != self.size + 1:
            return f"missing; record {header.seq} stands in its place"
        if header.time < self.time:
            return "its time is before that of the record before it"
        if header.kind == Kind.EPOCH:
            if header.epoch <= self.epoch:
                return f"epoch {header.epoch} begins after epoch {self.epoch}"
            self.epoch = header.epoch
        if header.epoch != self.epoch:
            return f"written under epoch {header.epoch}, in epoch {self.epoch}"
        expected = self.epoch if header.writer == WRITER else self.incarnations.get(header.writer, 0)
        if header.kind == Kind.INCARNATION:
            expected += 1
            self.incarnations[header.writer] = expected
        if header.incarnation != expected:
            return f"written by incarnation {header.incarnation} of {header.writer}, after {expected} had registered"
        self.size, self.time = header.seq, header.time
        return None


class _Tree:
    """The tree built anew, compared with what each commit left behind."""

    def __init__(self, store: Store, witness: Head | None) -> None:
        self._store = store
        self._checkpoints = store.checkpoints()
        self._next = next(self._checkpoints, None)
        self._frontier = Frontier()
        self._leaves: list[bytes] = []
        self._witness = witness

    def add(self, record: Record, leaf: bytes) -> Iterator[Fault]:
        self._leaves.append(leaf)
        seq = record.header.seq
        if self._witness is not None and self._witness.size == seq:
            frontier, _ = self._frontier.append(self._leaves)
            if frontier.root() != self._witness.root:
                yield Fault(1, seq, "not what the witness has seen: the tree up to here has another root")
        if self._next is None or seq < self._next.size:
            return
        first = self._frontier.size + 1
        self._frontier, tiles = self._frontier.append(self._leaves)
        self._leaves = []
        header = record.header
        if Head(seq, header.time, self._frontier.root(), header.epoch) != self._next:
            yield Fault(first, seq, "the tree over the log is not the one that its commit recorded")
        for tile in tiles:
            if self._store.hashes(tile.level, tile.position, 1) != [tile.hash]:
                yield Fault(first, seq, f"tile {tile.position} of level {tile.level} is not the root of its subtree")
        self._next = next(self._checkpoints, None)


def _decisions(store: Store, upto: int) -> Fault | None:
    """At most one asked and one answered for each attempt; nothing is answered that was not asked before."""
    r = tables.records.c
    once = r.kind.in_([Kind.ASKED.value, Kind.ANSWERED.value])
    same = (r.decision, r.attempt)
    asked = func.min(case((r.kind == Kind.ASKED.value, r.seq), else_=upto + 1)).over(partition_by=same)
    number = func.row_number().over(partition_by=(*same, r.kind), order_by=r.seq)
    numbered = select(r.seq, r.kind, asked.label("asked"), number.label("number")).where(once, r.seq <= upto).subquery()
    n = numbered.c
    again, orphan = (func.min(case((wrong, n.seq))) for wrong in (n.number > 1, n.asked > n.seq))
    ((twice, unasked),) = store.fetch(select(again, orphan))
    if twice is not None:
        return Fault(twice, twice, "its decision was asked or answered before for the same attempt")
    if unasked is not None:
        return Fault(unasked, unasked, "it answers what was not asked before")
    return None


def _past_the_end(store: Store) -> Fault | None:
    """Records that no commit accounts for."""
    size = select(func.max(tables.checkpoints.c.size)).scalar_subquery()
    beyond = select(func.min(tables.records.c.seq)).where(tables.records.c.seq > func.coalesce(size, 0))
    seq = store.fetch(beyond)[0][0]
    return None if seq is None else Fault(seq, seq, "no commit accounts for it")
