"""An index of decision ids in a file beside a SQLite ledger: which records may belong to a decision.

Decision ids are random. In a B-tree inside the database every decision would dirty a page of its own, and each such
page goes through the write-ahead log: that was half of the cost of a commit. Here it costs one store of eight bytes
into a hash table in mapped memory.

What is found is a hint: the sequence number of a record that may belong to the id. Whoever asks reads that record and
compares. So the file needs no transactions. An entry that points at another record, or past the end of the log, is
passed over, and all that matters is that no entry is missing. For that the file carries marks: up to this size of the
ledger, with this root of its Merkle tree, every record is indexed. A root stands for the whole history before it, so
the mark also says whether the file belongs to the ledger that lies beside it.

Nothing here locks. `Sidecar` adds entries only inside a write transaction of the database, after the lease was
checked, so the database's lock orders the writers and fences the old ones, and nobody can be stopped while holding a
lock of this file. Readers need none: entries are added and never moved, each in one aligned store.

The layout: a header of one page, then hash tables with linear probing, each eight times the size of the one before.
A table covers a fixed range of sequence numbers and is at most half full; when its range is over the next one begins.
Nothing is ever rehashed, so no commit waits for growth, and a look-up probes at most six tables below 300 million
records. The blocks of a table are reserved before it is mapped: a full disk is an error there, not a signal later.
A slot holds, from the high bits: 20 of the id's hash, 2 of the attempt, 2 for the kind, 40 of the sequence number;
zero is an empty slot.

A process that is killed loses nothing, for the page cache outlives it. After a loss of power some pages may be old
while the marks are new. So while the file is in use its header carries a stamp, the boot that it belongs to and its
own inode; a stamp of another boot, or of another file (a copy that was taken in the middle), says that the content
cannot be trusted. Closed in order it is written out and carries no stamp. Whatever cannot be trusted is made anew from
the records.
"""

import mmap
import os
import struct
import uuid
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, Self

from federation.ledger.faults import Duplicate
from federation.ledger.merkle import EMPTY


class Mark(NamedTuple):
    """The ledger at one of its commits: its size, and the root of the Merkle tree over it."""

    size: int
    root: bytes


Key = tuple[int, str, str, int]
"""Of a record: seq, decision, kind, attempt."""

Taken = Callable[[int, Key], bool]
"""Whether the record at that seq has the decision, kind and attempt of the key."""


class Unusable(Exception):
    """There is no index, or none that can be trusted. Make one."""


_PAGE = 4096
_MAGIC = b"elias-index-1\n\0\0"
_STAMP_AT, _STAMP = 16, struct.Struct("<16sQ")  # boot, inode
_CLOSED = bytes(_STAMP.size)
_REACH_AT, _SPOILT_AT, _NUMBER = 40, 48, struct.Struct("<Q")
_MARKS_AT, _MARK = (64, 128), struct.Struct("<Q32sI")  # size, root, CRC-32 of the two

_FIRST_BITS, _GROWTH_BITS = 14, 3
_SEQ = (1 << 40) - 1
_LOW = (1 << 20) - 1
_FULL = -1
_KINDS = {"asked": 1, "answered": 2}


class _Table(NamedTuple):
    """first: its first slot, counted from the beginning of the file. bits: of the number of its slots. last: the last
    seq that it covers."""

    first: int
    bits: int
    last: int

    @property
    def end(self) -> int:
        """One past its last slot."""
        return self.first + (1 << self.bits)


def _following(table: _Table | None) -> _Table:
    if table is None:
        return _Table(_PAGE // 8, _FIRST_BITS, 1 << _FIRST_BITS - 1)
    bits = table.bits + _GROWTH_BITS
    return _Table(table.end, bits, table.last + (1 << bits - 1))


def _layout(size: int) -> list[_Table]:
    """The tables that lie whole in a file of that many bytes."""
    tables: list[_Table] = []
    while (table := _following(tables[-1] if tables else None)).end * 8 <= size:
        tables.append(table)
    return tables


class Index:
    """Such a file, mapped. One that another process has made larger shows the rest when it is opened again."""

    def __init__(self, path: Path, *, write: bool) -> None:
        """write: it belongs to this boot from now on."""
        self.path = path
        self._undo: list[int] = []
        self._before: Mark | None = None  # the commit after which the last entries came
        self._map_all(write)
        ours = _STAMP.pack(_BOOT, self._inode)
        stamp = self._map[_STAMP_AT : _STAMP_AT + _STAMP.size]
        if self._map[: len(_MAGIC)] != _MAGIC or stamp not in (ours, _CLOSED):
            raise Unusable
        self._seen = max((mark.size for mark in self.marks()), default=0)  # of the newest mark so far
        if write:
            self._stamp(ours)

    @classmethod
    def make(cls, path: Path) -> Self:
        """An empty one, in place of whatever is there. OSError: there is no room, or this user may not."""
        new = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
        try:
            with new.open("xb") as file:
                os.posix_fallocate(file.fileno(), 0, _following(None).end * 8)
                file.write(_MAGIC)
                file.seek(_MARKS_AT[0])
                file.write(_packed(Mark(0, EMPTY)))
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
        return cls(path, write=True)

    def _map_all(self, write: bool) -> None:
        access = mmap.ACCESS_WRITE if write else mmap.ACCESS_READ
        try:
            with self.path.open("r+b" if write else "rb") as file:
                status = os.fstat(file.fileno())
                tables = _layout(status.st_size)
                if not tables:
                    raise Unusable
                self._map = mmap.mmap(file.fileno(), tables[-1].end * 8, access=access)
        except OSError as error:
            raise Unusable from error
        self._inode, self._tables = status.st_ino, tables
        self._slots = memoryview(self._map).cast("Q")

    def linked(self) -> bool:
        """Whether this is still the file at its path."""
        try:
            return os.stat(self.path).st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        """Writes it out and says so in it: it may be trusted after a loss of power."""
        with suppress(OSError):  # then it may not
            self._map.flush()
            self._stamp(_CLOSED)

    def _stamp(self, stamp: bytes) -> None:
        """On the disk before anything that follows."""
        self._map[_STAMP_AT : _STAMP_AT + _STAMP.size] = stamp
        self._map.flush(0, _PAGE)

    # Marks

    def marks(self) -> list[Mark]:
        """Those that are whole, and that the tables here can account for."""
        found = map(self._mark_at, _MARKS_AT)
        return [mark for mark in found if mark is not None and mark.size <= self._tables[-1].last]

    def covers(self, mark: Mark) -> bool:
        """Whether every record of the ledger at `mark` is indexed, given that the file belongs to that ledger.

        The newer of two marks may be that of a commit that failed, after which another file took the place of this
        one. That the ledger has passed the older is certain.
        """
        marks = self.marks()
        return mark in marks or (len(marks) == len(_MARKS_AT) and mark.size < min(marks).size)

    def keeps_up(self) -> bool:
        """Whether every record that is committed by now is indexed, given that all were when this was opened.

        The appender enters records before it commits them. So nothing is missing unless another file took the place of
        this one, an older copy was written over it, or it has grown past the tables that are mapped here; of the last
        two the marks tell.
        """
        marks = self.marks()
        newest = max(marks).size if len(marks) == len(_MARKS_AT) else -1
        seen, self._seen = self._seen, max(newest, self._seen)
        return newest >= seen and self.linked()

    def mark(self, new: Mark, committed: Mark) -> None:
        """Every record up to `new` is indexed. The mark at `committed`, which the database holds, stays beside it."""
        at = _MARKS_AT[self._mark_at(_MARKS_AT[0]) == committed]
        self._map[at : at + _MARK.size] = _packed(new)
        self._before = committed

    def _mark_at(self, at: int) -> Mark | None:
        packed = self._map[at : at + _MARK.size]
        mark = Mark(*_MARK.unpack(packed)[:2])
        return mark if packed == _packed(mark) else None

    def recover(self, committed: Mark) -> None:
        """Counts what commits that were cut short have left in the tables. Unusable: so much that they may fill up."""
        (reach,), (spoilt,) = (_NUMBER.unpack_from(self._map, at) for at in (_REACH_AT, _SPOILT_AT))
        spoilt += max(0, reach - committed.size)
        if spoilt > 1 << self._tables[-1].bits - 2:
            raise Unusable
        _NUMBER.pack_into(self._map, _SPOILT_AT, spoilt)
        _NUMBER.pack_into(self._map, _REACH_AT, committed.size)

    def settle(self, committed: Mark) -> None:
        """Takes out what was last added, if the ledger stands where it stood before."""
        if self._before == committed:
            self._take_out()
        self._undo = []

    def _take_out(self) -> None:
        for at in reversed(self._undo):
            self._slots[at] = 0
        self._undo = []

    # Entries

    def find(self, ids: Iterable[str]) -> list[int]:
        """The seqs of all records that may belong to one of the ids, in order."""
        found: set[int] = set()
        for id in ids:
            same, _ = self._probe(_hash(id), self._tables)
            found.update(slot & _SEQ for slot in same)
        return sorted(found)

    def _probe(self, hashed: int, tables: Iterable[_Table]) -> tuple[list[int], int]:
        """The slots that agree with the low bits of the hash; and where the next such one goes in the last table."""
        slots, low = self._slots, hashed & _LOW
        same = []
        at = _FULL
        for first, bits, _ in tables:
            home, size = hashed >> 64 - bits, 1 << bits
            for step in range(home, home + size):
                at = first + (step & size - 1)
                slot = slots[at]
                if not slot:
                    break
                if slot >> 44 == low:
                    same.append(slot)
            else:
                at = _FULL
        return same, at

    def add(self, keys: Sequence[Key], reach: int, taken: Taken | None = None) -> None:
        """Enters records in order of seq, up to `reach`. Duplicate: one of them is asked or answered again; `taken` is
        asked of each record that may be the first. Then nothing is entered."""
        _NUMBER.pack_into(self._map, _REACH_AT, reach)
        self._undo = []
        while self._tables[-1].last < reach:
            self._grow()
        try:
            start = 0
            for n, table in enumerate(self._tables):
                end = bisect_right(keys, table.last, key=itemgetter(0))
                if start < end:
                    self._add(n, keys[start:end], taken)
                start = end
        except BaseException:
            self._take_out()
            raise

    def _add(self, n: int, keys: Sequence[Key], taken: Taken | None) -> None:
        slots, undo = self._slots, self._undo
        tables = self._tables[: n + 1] if taken else self._tables[n : n + 1]
        end = self._tables[n].end
        last = None
        for key in keys:
            seq, id, kind, attempt = key
            if id != last:
                last, hashed = id, _hash(id)
                same, at = self._probe(hashed, tables)
                low = (hashed & _LOW) << 4
                if at == _FULL:
                    raise Unusable
            once = _KINDS.get(kind, 0)
            tag = low | (attempt & 3) << 2 | once
            slot = tag << 40 | seq
            if same:
                if slot in same:
                    continue
                if once and taken and any(other >> 40 == tag and taken(other & _SEQ, key) for other in same):
                    raise Duplicate(f"decision {id} was {kind} before (attempt {attempt})")
            slots[at] = slot
            undo.append(at)
            same.append(slot)
            at += 1
            if at == end or slots[at]:
                last = None  # the next of the same id is looked for a place again

    def _grow(self) -> None:
        table = _following(self._tables[-1])
        with self.path.open("r+b") as file:
            if os.fstat(file.fileno()).st_ino != self._inode:
                raise Unusable
            os.posix_fallocate(file.fileno(), table.first * 8, (table.end - table.first) * 8)
        self._map_all(write=True)


def _hash(id: str) -> int:
    """64 bits. An id is 32 digits of SHA-256 as a rule: then its first 16 are as good as any hash of it."""
    if len(id) == 32:
        try:
            return int(id[:16], 16) & 0xFFFF_FFFF_FFFF_FFFF
        except ValueError:
            pass
    return int.from_bytes(blake2b(id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _packed(mark: Mark) -> bytes:
    return _MARK.pack(*mark, zlib.crc32(_MARK.pack(*mark, 0)))


def _boot() -> bytes:
    """Stands for one run of the kernel; where there is no telling, for this process alone."""
    try:
        return uuid.UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()).bytes
    except (OSError, ValueError):
        return uuid.uuid4().bytes


_BOOT = _boot()
