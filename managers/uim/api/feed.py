"""Who listens to what changes in the log, and the one reader that tells them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import select

from federation.errors import EliasError
from federation.ledger import tables
from federation.ledger.store import Store
from federation.records import Kind

EVERY = 0.25  # seconds between two looks at the log
BEHIND = 5000  # records that a client may have missed and still be told what they were about

TOPICS = {
    Kind.ASKED: ("decisions", "cases"),
    Kind.SCORED: ("decisions", "cases"),
    Kind.ADVISED: ("decisions", "cases"),
    Kind.ANSWERED: ("decisions", "cases"),
    Kind.CASE: ("cases",),
    Kind.EFFECT: ("decisions",),
    Kind.OUTCOME: ("decisions",),
    Kind.BUNDLE: ("bundle",),
    Kind.MODE: ("modes",),
    Kind.FREEZE: ("freeze",),
    Kind.ACCESS: ("access",),
    Kind.EPOCH: ("managers",),
    Kind.INCARNATION: ("managers",),
}


class Change(NamedTuple):
    """What records up to `seq` were about. all: it is not known what, so everything may have changed."""

    seq: int
    topics: frozenset[str]
    all: bool = False

    def then(self, later: "Change") -> "Change":
        return Change(later.seq, self.topics | later.topics, self.all or later.all)


class Client:
    """Holds what a client was not sent yet: one change at most, however much happens meanwhile."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self._owed: Change | None = None

    def tell(self, change: Change) -> None:
        self._owed = change if self._owed is None else self._owed.then(change)
        self._news.set()

    async def next(self, patience: float) -> Change | None:
        """None: nothing has changed for so many seconds."""
        try:
            await asyncio.wait_for(self._news.wait(), patience)
        except TimeoutError:
            return None
        self._news.clear()
        change, self._owed = self._owed, None
        return change

    def end(self) -> None:
        """Wake it for the last time."""
        self._news.set()


class Feed:
    """The one reader of the log, and its clients."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._clients: set[Client] = set()
        self._reading: asyncio.Task[None] | None = None
        self.seq = 0
        self.closed = False

    def __len__(self) -> int:
        return len(self._clients)

    async def since(self, seq: int) -> Change:
        """What a client that has seen record `seq` missed; everything, where the ledger cannot be read now."""
        try:
            change = await asyncio.to_thread(self._read, seq)
        except EliasError:
            return Change(self.seq, frozenset(), all=True)
        self.seq = self.seq or change.seq
        return change

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client, for as long as it listens. What it missed before is asked for after it listens, so nothing falls
        between."""
        made = Client()
        self._clients.add(made)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._follow())
        try:
            yield made
        finally:
            self._clients.discard(made)

    def close(self) -> None:
        """End every stream; what listens comes again to whoever serves then."""
        self.closed = True
        for client in self._clients:
            client.end()

    async def _follow(self) -> None:
        """While somebody listens."""
        while self._clients and not self.closed:
            await asyncio.sleep(EVERY)
            if self.seq:  # the first client has asked what it missed
                await self._look()

    async def _look(self) -> None:
        try:
            change = await asyncio.to_thread(self._read, self.seq)
        except EliasError:
            return  # the pages say so themselves
        if change.seq > self.seq:
            self.seq = change.seq
            for client in self._clients:
                client.tell(change)

    def _read(self, after: int) -> Change:
        head = self._store.head().size
        if not 0 < after <= head:
            return Change(head, frozenset(), all=True)
        if head - after > BEHIND:
            return Change(head, frozenset(), all=True)
        c = tables.records.c
        kinds = self._store.fetch(select(c.kind).distinct().where(c.seq > after, c.seq <= head)) if head > after else ()
        return Change(head, frozenset(topic for (kind,) in kinds for topic in TOPICS.get(kind, ())))
