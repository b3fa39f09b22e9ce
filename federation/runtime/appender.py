"""The appender as an actor: one commit for all batches that came while the one before was on its way to the disk.

It also carries committed records to the managers that follow them, and makes time pass. A follower that missed a push
notices by the number of the next one and reads the ledger instead.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import msgspec
import ray

from federation.clock import SECOND, SystemClock
from federation.errors import EliasError, Fenced, Temporary
from federation.figures import RECORDS, SECONDS, Histogram
from federation.ledger.appender import Appender, Batch, Receipt
from federation.ledger.store import Store
from federation.records import Header, Record, of_case
from federation.runtime.service import Service
from federation.settings import Settings

DATABASE_AWAY = 0.5  # seconds until a database that did not answer is asked again

_batches = msgspec.msgpack.Decoder(Batch)
_push = msgspec.msgpack.Encoder()


class Filter(msgspec.Struct, frozen=True):
    """The records that a follower wants: of these kinds from anybody, of those (kind, point) pairs, and of the kinds
    `cases` what may concern a case.
    """

    kinds: frozenset[str]
    pairs: frozenset[tuple[str, str]]
    cases: frozenset[str]

    def may_want(self, kind: str, point: str) -> bool:
        return kind in self.kinds or kind in self.cases or (kind, point) in self.pairs

    def wants(self, kind: str, point: str, body: bytes) -> bool:
        if kind in self.kinds or (kind, point) in self.pairs:
            return True
        return kind in self.cases and of_case(kind, body)


class _Follower:
    def __init__(self, handle: Any, wanted: Filter) -> None:
        self.handle = handle
        self.wanted = wanted
        self.pushes = 0


class AppenderService(Service):
    def __init__(self, settings: Settings, term: int = 0) -> None:
        """term: of the headship, where several machines can be the head of the cluster."""
        super().__init__("appender")
        self.settings, self.term = settings, term
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._queue: list[tuple[Batch, asyncio.Future[Receipt]]] = []
        self._woken = asyncio.Event()
        self._opened = asyncio.Event()
        self._followers: dict[str, _Follower] = {}
        self._tick_at = 0
        self._alarm = asyncio.Event()
        self._commits = 0
        self._records = 0
        self._group, self._seconds = Histogram(RECORDS), Histogram(SECONDS)  # of one commit

    async def start(self) -> None:
        """Take the epoch. By force: the supervisor has ended whoever held it, and the database refuses the old epoch
        anyhow.
        """
        self.clock = SystemClock()
        await self.listen({"append": self.append})
        lease = round(self.settings.ledger.lease * SECOND)
        while not self._opened.is_set():
            try:
                self.store = await self._in_thread(lambda: Store.open(self.settings.ledger_url))
                holder = f"pid {os.getpid()} on {self.node}"
                self.appender = Appender(self.store, self.clock, holder, lease_ttl=lease, term=self.term)
                await self._in_thread(lambda: self.appender.open(force=True))
                self._opened.set()
            except Fenced as error:
                self._superseded(error)
            except Temporary as error:  # a restart would not help, and would use up what the supervisor allows
                self.log.warning("waiting for the database: %s", error)
                await asyncio.sleep(DATABASE_AWAY)
        self.settle_memory()
        self.spawn(self._commit_loop())
        self.spawn(self._tick_loop())
        self.spawn(self._renew_loop())

    async def register(self, writer: str, info: dict[str, Any]) -> tuple[int, int]:
        """A new incarnation of a writer, and the epoch."""
        await self._opened.wait()
        incarnation = await self._in_thread(lambda: self.appender.register(writer, info))
        return incarnation, self.appender.epoch

    async def follow(
        self, writer: str, actor: str, kinds: list[str], pairs: list[tuple[str, str]], cases: list[str]
    ) -> tuple[int, int]:
        """Push what matches to `actor` from now on; the epoch and the size of the ledger at this moment."""
        await self._opened.wait()
        wanted = Filter(frozenset(kinds), frozenset(pairs), frozenset(cases))
        self._followers[writer] = _Follower(ray.get_actor(actor), wanted)
        return self.appender.epoch, self.appender.head.size

    async def append(self, raw: bytes, wake: int) -> tuple[int, int, int]:
        """Commit one batch; (first, last, time) of its records. wake: ledger time (ns) at which its writer wants a
        tick; 0: none.
        """
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._queue.append((_batches.decode(raw), future))
        self._woken.set()
        await self._opened.wait()
        if wake:
            self._wake(wake)
        receipt = await future
        return receipt.first, receipt.last, receipt.time

    async def wake(self, at: int) -> None:
        """A writer wants a tick at that ledger time (ns), though it has nothing to commit."""
        await self._opened.wait()
        self._wake(at)

    async def snapshot(self, writer: str, seq: int, body: bytes) -> None:
        await self._in_thread(lambda: self.store.snapshot_save(writer, seq, body))

    async def health(self) -> dict[str, Any]:
        await self._opened.wait()
        head = self.appender.head
        return {
            **self.vitals(),
            "epoch": head.epoch,
            "records": head.size,
            "commits": self._commits,
            "waiting": len(self._queue),
            "appended": self._records,
            "group": self._group.plain(),
            "seconds": self._seconds.plain(),
        }

    async def drain(self) -> None:
        await self.stop_tasks()
        await self._in_thread(self.appender.close)
        self.store.close()

    # -- loops -------------------------------------------------------------------------------------------------------

    async def _commit_loop(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            taken, self._queue = self._queue, []
            if taken:
                await self._commit(taken)

    async def _commit(self, taken: list[tuple[Batch, asyncio.Future[Receipt]]]) -> None:
        batches = [batch for batch, _ in taken]
        begun = self.clock.now()
        try:
            results: list[Receipt | EliasError] = await self._in_thread(lambda: self.appender.commit(batches))
        except Fenced as error:
            self._superseded(error)
        except EliasError as error:
            results = [error] * len(taken)
        committed = []
        for (batch, future), result in zip(taken, results, strict=True):
            if isinstance(result, Receipt):
                committed.append((batch, result))
                future.set_result(result)
            elif not future.done():
                future.set_exception(result)
        self._commits += 1
        self._records += sum(len(b.entries) for b, _ in committed)
        self._group.observe(sum(len(b.entries) for b, _ in committed))
        self._seconds.observe((self.clock.now() - begun) / SECOND)
        self._carry(committed)

    def _carry(self, committed: list[tuple[Batch, Receipt]]) -> None:
        kinds = [{(e.kind, e.point) for e in batch.entries} for batch, _ in committed]
        for name, follower in self._followers.items():
            records = [
                record
                for (batch, receipt), there in zip(committed, kinds, strict=True)
                if batch.writer != name and any(follower.wanted.may_want(*pair) for pair in there)
                for record in _matching(batch, receipt, follower.wanted)
            ]
            if records:
                follower.handle.follow.remote(follower.pushes, _push.encode(records))
                follower.pushes += 1

    async def _tick_loop(self) -> None:
        regular = round(self.settings.ledger.tick * SECOND)
        while True:
            now = self.clock.now()
            self._tick_at = min(self._tick_at, now + regular) if self._tick_at > now else now + regular
            while (left := self._tick_at - self.clock.now()) > 0:
                self._alarm.clear()
                try:
                    await asyncio.wait_for(self._alarm.wait(), left / SECOND)
                except TimeoutError:
                    break
            self._tick_at = 0
            await self._tick()

    async def _tick(self) -> None:
        try:
            receipt = await self._in_thread(self.appender.tick)
        except Fenced as error:
            self._superseded(error)
        except EliasError as error:
            self.log.warning("no tick: %s", error)
            return
        for follower in self._followers.values():
            follower.handle.tick.remote(follower.pushes, receipt.time, receipt.last)

    async def _renew_loop(self) -> None:
        while True:
            await asyncio.sleep(self.settings.ledger.lease / 3)
            try:
                await self._in_thread(self.appender.renew)
            except Fenced as error:
                self._superseded(error)
            except EliasError as error:
                self.log.warning("lease not renewed: %s", error)

    def _superseded(self, error: Fenced) -> NoReturn:
        """Another appender is in charge; anything done here from now on could only do harm."""
        self.log.critical("ending this process: %s", error)
        os._exit(3)

    def _wake(self, at: int) -> None:
        at = max(at, self.clock.now() + SECOND // 20)  # 20 ticks a second at most, whatever a writer asks for
        if at < self._tick_at:
            self._tick_at = at
            self._alarm.set()

    async def _in_thread(self, work: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _matching(batch: Batch, receipt: Receipt, wanted: Filter) -> list[Record]:
    return [
        Record(
            Header(
                receipt.first + i,
                receipt.time,
                receipt.epoch,
                batch.writer,
                batch.incarnation,
                e.kind,
                e.point,
                e.subject,
                e.decision,
                e.attempt,
            ),
            e.body,
        )
        for i, e in enumerate(batch.entries)
        if wanted.wants(e.kind, e.point, e.body)
    ]
