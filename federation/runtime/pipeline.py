"""The work of a manager on its way to the log: prepared while batches before it are being committed.

A batch is sent once. If one fails, or the appender dies under it, those behind it are void too: the state is built anew
from the ledger, and whoever waits sends again, which is safe, because what was decided is recognised by its id.
"""

import asyncio
import itertools
import logging
import os
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Protocol, TypeVar

from federation.clock import Clock
from federation.errors import Bug, EliasError, Fenced, Refused, Temporary
from federation.records import Entry

FLIGHTS = 2  # batches on their way: one is being committed while the next one arrives
ROUND = 50  # events prepared at a time: some 2 ms, in which the event loop does nothing else
AHEAD = 32  # rounds prepared while a commit is on its way; they share the next one
QUEUE = 2000  # jobs waiting before a manager says it is overloaded

_T = TypeVar("_T")

Work = Callable[[int], tuple[list[Entry], Any]]
"""At a ledger time (ns): the entries to commit, and what to tell whoever waits once they are."""


class Host(Protocol):
    """The manager around the pipeline."""

    name: str
    log: logging.Logger

    def spawn(self, work: Coroutine[Any, Any, _T]) -> "asyncio.Task[_T]":
        """Run it on its own; should it fail, the process ends."""
        ...

    async def commit(self, entries: list[Entry]) -> None:
        """Raises EliasError when they were not committed, or nobody knows."""
        ...

    def committed(self) -> None:
        """Something was committed, or there was nothing to commit."""
        ...

    def want_tick(self) -> None:
        """Nothing was to be committed, yet a timer may have changed."""
        ...

    async def restore(self) -> None:
        """Build the state anew from the ledger, however long that takes."""
        ...

    def wants_rest(self) -> bool:
        """Whether `rest` has something to do, so that no more work shall be prepared before."""
        ...

    async def rest(self) -> None:
        """Nothing is prepared or on its way: the state is what the ledger holds."""
        ...


class _Job(NamedTuple):
    work: Work
    future: "asyncio.Future[Any]"
    events: int


class _Prepared(NamedTuple):
    """entries: to be committed; None: the state broke, and neither these jobs nor later ones happened."""

    entries: list[Entry] | None
    done: list[tuple[_Job, Any]]


class Pipeline:
    def __init__(self, host: Host, clock: Clock) -> None:
        self._host = host
        self._clock = clock
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(QUEUE)
        self._prepared: list[_Prepared] = []
        self._making: list[Entry] = []  # of the round that is being prepared
        self._sendable = asyncio.Event()
        self._flight: asyncio.Task[bool] | None = None  # the batch sent last
        self._flying = 0
        self._spoiled = False  # a batch failed: what is prepared after it did not happen
        self._sound = asyncio.Event()  # the state holds what the ledger holds and what is prepared
        self._sound.set()
        self._quiet = asyncio.Event()  # nothing is prepared or on its way
        self._quiet.set()

    @property
    def waiting(self) -> int:
        """Jobs that nobody has looked at yet."""
        return self._jobs.qsize()

    @property
    def flying(self) -> bool:
        """Whether a batch is on its way to the log."""
        return self._flying > 0

    @property
    def ahead(self) -> bool:
        """Whether the state holds what nobody has heard yet to be in the log; it may be there nevertheless."""
        return bool(self._making or self._prepared or self._flying)

    async def do(self, work: Work, events: int = 1) -> Any:
        """Do the work, on so many events, and commit its entries; its result once they are committed."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            self._jobs.put_nowait(_Job(work, future, events))
        except asyncio.QueueFull:
            raise Temporary(
                f"{self._host.name} has {QUEUE} requests waiting; send slower, or again in a moment"
            ) from None
        return await future

    async def join(self) -> None:
        """Until everything that was accepted is done."""
        await self._jobs.join()

    def refuse_waiting(self, error: EliasError) -> None:
        """What waits will not be done now."""
        self._lost([self._jobs.get_nowait() for _ in range(self._jobs.qsize())], error)

    def start(self) -> None:
        self._host.spawn(self._prepare_loop())
        self._host.spawn(self._send_loop())

    # -- ahead of the commits ----------------------------------------------------------------------------------------

    async def _prepare_loop(self) -> None:
        while True:
            jobs = [await self._jobs.get()]
            while not self._jobs.empty() and sum(job.events for job in jobs) < ROUND:
                jobs.append(self._jobs.get_nowait())
            if len(self._prepared) >= AHEAD or self._host.wants_rest():
                await self._quiet.wait()
            await self._sound.wait()
            prepared = self._prepare(jobs)
            self._prepared.append(prepared)
            self._making = []
            self._quiet.clear()
            self._sendable.set()
            if prepared.entries is None:
                self._sound.clear()
            # The send loop wakes in the first turn and its flight leaves in the second: before the next round holds
            # the event loop, or a batch would wait for the one behind it.
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    def _prepare(self, jobs: list[_Job]) -> _Prepared:
        self._making = []
        entries: list[Entry] | None = self._making
        done: list[tuple[_Job, Any]] = []
        now = self._clock.now()
        for job in jobs:
            if entries is None:
                done.append((job, None))
                continue
            try:
                made, result = job.work(now)
                entries += made
                done.append((job, result))
            except Refused as error:
                self._lost([job], error)
            except Temporary as error:  # the ledger could not be read, and the desk may have stopped half-way
                self._lost([job], error)
                entries = None
            except Exception as error:
                self._host.log.exception("a bug in %s", self._host.name)
                self._lost([job], Bug(f"{self._host.name}: {type(error).__name__}: {error}"))
                entries = None
        return _Prepared(entries, done)

    # -- to the log --------------------------------------------------------------------------------------------------

    async def _send_loop(self) -> None:
        while True:
            await self._sendable.wait()
            self._sendable.clear()
            if self._spoiled:
                await self._recover()
            elif self._prepared and self._flying < FLIGHTS:
                self._launch()
            elif not self._prepared and not self._flying:
                await self._host.rest()
                if not self._prepared and not self._flying:
                    self._quiet.set()

    def _launch(self) -> None:
        taken, self._prepared = self._prepared, []
        sound = list(itertools.takewhile(lambda prepared: prepared.entries is not None, taken))
        if len(sound) < len(taken):
            self._prepared = taken[len(sound) :]
            self._spoiled = True
        entries = [entry for prepared in sound for entry in prepared.entries or ()]
        done = [job for prepared in sound for job in prepared.done]
        self._flying += 1
        self._flight = self._host.spawn(self._fly(self._flight, entries, done))

    async def _fly(
        self, previous: "asyncio.Task[bool] | None", entries: list[Entry], done: list[tuple[_Job, Any]]
    ) -> bool:
        kept = await self._send(previous, entries, done)
        self._flying -= 1
        if not kept:
            self._spoiled = True
            self._sound.clear()
        self._sendable.set()
        return kept

    async def _send(
        self, previous: "asyncio.Task[bool] | None", entries: list[Entry], done: list[tuple[_Job, Any]]
    ) -> bool:
        """Commit, then tell those who wait; False if nothing was committed. `previous`: the batch sent before."""
        problem: EliasError | None = None
        try:
            await self._host.commit(entries) if entries else self._host.want_tick()
        except EliasError as error:
            problem = error
        if previous is not None and not await previous:
            problem = self._again()
        if isinstance(problem, Fenced):
            self._host.log.critical("ending this process: %s", problem)
            os._exit(3)  # a newer incarnation is in charge
        if problem is not None:
            self._lost([job for job, _ in done], problem)
            return False
        for job, result in done:
            if not job.future.done():
                job.future.set_result(result)
            self._jobs.task_done()
        self._host.committed()
        return True

    async def _recover(self) -> None:
        """What was prepared on a state that did not come about is void, and is to be sent again."""
        self._sound.clear()
        if self._flight is not None:
            await self._flight
        void, self._prepared = self._prepared, []
        self._lost([job for prepared in void for job, _ in prepared.done], self._again())
        await self._host.restore()
        self._flight, self._spoiled = None, False
        self._sound.set()
        self._sendable.set()

    def _again(self) -> Temporary:
        return Temporary(f"{self._host.name} is catching up with the ledger; send it again")

    def _lost(self, jobs: list[_Job], error: EliasError) -> None:
        for job in jobs:
            if not job.future.done():
                job.future.set_exception(error)
            self._jobs.task_done()
