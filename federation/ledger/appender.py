"""The appender: gives each record its place and its time, commits in groups, keeps the tree. Knows nothing of Ray.

What it holds in memory is a cache of the database. After a Temporary error, when nobody knows whether the commit
arrived, it is thrown away and read again; a writer that sends its last batch once more then gets the receipt of the
first time.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from federation.clock import SECOND, Clock
from federation.errors import Bug, Corrupt, EliasError, Fenced, Refused, Temporary
from federation.ledger.engines import Row
from federation.ledger.faults import Duplicate
from federation.ledger.merkle import Frontier
from federation.ledger.proofs import node_of
from federation.ledger.store import Head, Standing, Store
from federation.records import Entry, Kind, encode

WRITER = "appender"
"""The name under which the appender writes its own records; its incarnation is its epoch."""

BODY_LIMIT = 16 * 2**20
"""Bytes. A bundle of specs is the largest body that anything writes, and stays far below."""

_TEXT_LIMIT = 512
_ONCE = (Kind.ASKED, Kind.ANSWERED)


class Batch(msgspec.Struct, frozen=True, gc=False):
    """What a writer hands in at once; committed together or not at all. number: counts the batches of this incarnation
    from 0."""

    writer: str
    incarnation: int
    number: int
    entries: list[Entry]


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Where a batch stands: seq of its first and last record, their federation time (ns), the epoch that committed
    them."""

    first: int
    last: int
    time: int
    epoch: int


class EpochBody(msgspec.Struct, frozen=True, gc=False):
    holder: str
    v: int = 1


class IncarnationBody(msgspec.Struct, frozen=True, gc=False):
    info: dict[str, Any]
    v: int = 1


class TickBody(msgspec.Struct, frozen=True, gc=False):
    v: int = 1


class _State(msgspec.Struct):
    """The ledger as of its last commit."""

    head: Head
    frontier: Frontier
    standings: dict[str, Standing]


class Appender:
    """Every method may raise Fenced (another appender has taken over: end this process), Temporary (nothing was
    acknowledged: call again) and Corrupt."""

    def __init__(self, store: Store, clock: Clock, holder: str, *, lease_ttl: int = 10 * SECOND, term: int = 0) -> None:
        """holder: who this is, for people. lease_ttl: ns. term: see `Store.acquire`."""
        self._store = store
        self._clock = clock
        self._holder = holder
        self._ttl = lease_ttl
        self._term = term
        self._epoch = 0
        self._state: _State | None = None

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def head(self) -> Head:
        return self._loaded().head

    def open(self, *, force: bool = False) -> int:
        """Takes the lease and records the new epoch. force: see `Store.acquire`."""
        self._epoch = self._store.acquire(self._holder, self._clock.now(), self._ttl, force=force, term=self._term)
        self._state = None
        self._write_own(Kind.EPOCH, encode(EpochBody(self._holder)))
        return self._epoch

    def close(self) -> None:
        """Gives the lease back, so that the next appender need not wait for its end."""
        self._store.release(self._epoch)

    def renew(self) -> None:
        self._store.renew(self._epoch, self._clock.now(), self._ttl)

    def tick(self) -> Receipt:
        """Records that time has passed."""
        return self._write_own(Kind.TICK, encode(TickBody()))

    def register(self, writer: str, info: dict[str, Any]) -> int:
        """The number of a new incarnation of `writer`; batches of earlier ones are fenced from now on."""
        if not writer or writer == WRITER:
            raise Refused("ledger.writer", f"`{writer}` is not a name for a writer", cure="name it after its manager")
        state = self._loaded()
        incarnation = state.standings[writer].incarnation + 1 if writer in state.standings else 1
        entry = Entry(Kind.INCARNATION, "", "", "", encode(IncarnationBody(info)))
        self._commit([Batch(writer, incarnation, -1, [entry])])
        return incarnation

    def commit(self, batches: Sequence[Batch]) -> list[Receipt | EliasError]:
        """Appends all good batches in one transaction; one result for each, in order.

        Fenced: an old incarnation, or a number that is not the next one. Refused: an entry that no ledger can hold.
        Bug: a decision that is asked or answered twice. Temporary: none of the group was acknowledged. A batch that
        equals its writer's last one is not appended again and gets the same receipt.
        """
        try:
            return self._commit_good(batches)
        except Temporary as error:
            self._state = None
            return [error] * len(batches)

    def _commit_good(self, batches: Sequence[Batch]) -> list[Receipt | EliasError]:
        errors: dict[int, EliasError] = {}
        while True:
            results: list[Receipt | EliasError | int] = []
            good: list[Batch] = []
            for i, batch in enumerate(batches):
                result = errors.get(i) or self._place(batch, good)
                if result == len(good):
                    good.append(batch)
                results.append(result)
            try:
                receipts = self._commit(good) if good else []
            except Duplicate as error:
                duplicates = self._duplicates([results.index(i) for i in range(len(good))], batches)
                if not duplicates:
                    raise Bug(f"the database refused records that it does not hold: {error}") from error
                errors |= duplicates
                continue
            return [receipts[result] if isinstance(result, int) else result for result in results]

    def _place(self, batch: Batch, good: list[Batch]) -> Receipt | EliasError | int:
        """Its index among the good batches of this group; or the receipt of the first time, or what is wrong with
        it."""
        standing = self._loaded().standings.get(batch.writer)
        if standing is None or standing.incarnation != batch.incarnation:
            return Fenced(f"{batch.writer}, incarnation {batch.incarnation}: a newer one has registered")
        before = [i for i, other in enumerate(good) if other.writer == batch.writer]
        if before and good[before[-1]] == batch:
            return before[-1]
        if not before and batch.number == standing.number and self._is_last(batch, standing):
            return Receipt(standing.first, standing.last, standing.time, standing.epoch)
        expected = standing.number + 1 + len(before)
        if batch.number != expected:
            return Fenced(
                f"{batch.writer}, incarnation {batch.incarnation}: batch {batch.number} where {expected} is next"
            )
        return _unfit(batch) or len(good)

    def _is_last(self, batch: Batch, standing: Standing) -> bool:
        """Whether the writer's last committed batch holds the very entries of this one."""
        if standing.last - standing.first + 1 != len(batch.entries):
            return False
        stored = self._store.read(after=standing.first - 1, upto=standing.last)
        return [
            Entry(h.kind, h.point, h.subject, h.decision, record.body, h.attempt)
            for record in stored
            for h in [record.header]
        ] == batch.entries

    def _duplicates(self, indices: list[int], batches: Sequence[Batch]) -> dict[int, EliasError]:
        """Which of the batches ask or answer what was asked or answered, in the ledger or earlier in the group."""
        ids = {e.decision for i in indices for e in batches[i].entries if e.decision and e.kind in _ONCE}
        taken = {
            (h.decision, h.kind, h.attempt)
            for id in ids
            for h in (record.header for record in self._store.decision(id))
        }
        found: dict[int, EliasError] = {}
        for i in indices:
            mine = [(e.decision, e.kind, e.attempt) for e in batches[i].entries if e.decision and e.kind in _ONCE]
            double = next((key for n, key in enumerate(mine) if key in taken or key in mine[:n]), None)
            if double is None:
                taken.update(mine)
            else:
                found[i] = Bug(
                    f"{batches[i].writer}: decision {double[0]} was {double[1]} before (attempt {double[2]})"
                )
        return found

    def _write_own(self, kind: Kind, body: bytes) -> Receipt:
        return self._commit([Batch(WRITER, self._epoch, -1, [Entry(kind, "", "", "", body)])])[0]

    def _commit(self, batches: Sequence[Batch]) -> list[Receipt]:
        """Appends what has been checked. The state moves on only when the database has it."""
        state = self._loaded()
        now = max(self._clock.now(), state.head.time)
        rows: list[Row] = []
        receipts: list[Receipt] = []
        standings: dict[str, Standing] = {}
        seq = state.head.size
        epoch, sha256 = self._epoch, hashlib.sha256
        for batch in batches:
            first, writer, incarnation = seq + 1, batch.writer, batch.incarnation
            for e in batch.entries:
                seq += 1
                header = (seq, now, epoch, writer, incarnation, e.kind, e.point, e.subject, e.decision, e.attempt)
                # The bytes of Record.leaf(), without making the objects.
                leaf = sha256(b"\x00%b\n%b" % (encode(header), e.body)).digest()
                rows.append((*header, e.body, leaf))
            receipts.append(Receipt(first, seq, now, epoch))
            if writer != WRITER:
                standings[writer] = Standing(writer, incarnation, batch.number, first, seq, now, epoch)
        frontier, tiles = state.frontier.append([row[-1] for row in rows])
        head = Head(seq, now, frontier.root(), epoch)
        try:
            self._store.commit(head, rows, tiles, list(standings.values()))
        except Temporary:
            self._state = None
            raise
        self._state = _State(head, frontier, state.standings | standings)
        return receipts

    def _loaded(self) -> _State:
        if self._state is None:
            head = self._store.head()
            if head.epoch > self._epoch:
                raise Fenced(f"epoch {self._epoch} is over: epoch {head.epoch} has committed")
            frontier = Frontier.of(head.size, node_of(self._store))
            if frontier.root() != head.root:
                raise Corrupt(
                    f"{self._store.place}: the tree over its {head.size} records is not that of its last checkpoint; "
                    "`elias ledger verify` names the first bad record"
                )
            self._state = _State(head, frontier, {s.writer: s for s in self._store.standings()})
        return self._state


def _unfit(batch: Batch) -> EliasError | None:
    """What no ledger can hold: nothing at all, a body past the limit, text that is too long or that PostgreSQL has no
    bytes for."""
    if not batch.entries:
        return Refused(
            "ledger.empty", f"{batch.writer}, batch {batch.number} has no entries", cure="hand in at least one"
        )
    for e in batch.entries:
        if len(e.body) > BODY_LIMIT:
            return Refused(
                "ledger.size",
                f"the body of a record has {len(e.body)} bytes",
                place=e.subject,
                cure=f"at most {BODY_LIMIT}",
            )
        if e.kind in _ONCE and not e.decision:
            return Refused("ledger.decision", f"an {e.kind} record names no decision", place=e.subject)
        words = e.kind + e.point + e.subject + e.decision
        if len(words) > _TEXT_LIMIT or (not words.isascii() and _surrogate(words)) or "\x00" in words:
            return Refused(
                "ledger.text",
                "kind, point, subject and decision of a record are too long together, or not plain text",
                place=words[:80],
                cure=f"at most {_TEXT_LIMIT} characters, without NUL and lone surrogates",
            )
    return None


def _surrogate(words: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in words)
