"""A manager as an actor: its desk, its place in the log, and the queue of work between them.

Work is prepared while batches before it are being committed. A batch is sent once. If one fails, or the appender dies
under it, those behind it are void too: the state is built anew from the ledger, and whoever waits sends again, which is
safe, because what was decided is recognised by its id.
"""

import asyncio
import contextlib
import heapq
import itertools
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
import ray

import tiki
from federation.bundles.acceptance import Acceptance
from federation.clock import SystemClock
from federation.desk import Desk
from federation.errors import Bug, EliasError, Fenced, Refused, Temporary
from federation.ledger.appender import Batch
from federation.ledger.store import Store
from federation.manager import Manager
from federation.points import schemas
from federation.records import Entry, Event, Kind, Record, encode
from federation.runtime import direct
from federation.runtime.roster import Roster, resolve
from federation.runtime.service import NAMESPACE, Service, actor_name
from federation.settings import Settings

PATIENCE = 8.0  # seconds for which the appender is called again while it is away: its restart takes about 2
FLIGHTS = 2  # batches on their way: one is being committed while the next one arrives
ROUND = 64  # jobs prepared at a time
AHEAD = 8  # rounds prepared while a commit is on its way; they share the next one
QUEUE = 2000  # jobs waiting before a manager says it is overloaded
LEDGER_AWAY = 0.5  # seconds until a database that did not answer is asked again

_events = msgspec.msgpack.Decoder(list[Event])
_records = msgspec.msgpack.Decoder(list[Record])
_packed = msgspec.msgpack.Encoder()


class Job(NamedTuple):
    work: Callable[[int], tuple[list[Entry], Any]]
    future: "asyncio.Future[Any]"


class Prepared(NamedTuple):
    """entries: to be committed; None: the desk broke, and neither these jobs nor later ones happened."""

    entries: list[Entry] | None
    done: list[tuple[Job, Any]]


class Snapshot(msgspec.Struct, frozen=True):
    """own, followed: the seq up to which the manager's own and others' records are folded."""

    own: int
    followed: int
    body: bytes


class ManagerService(Service):
    def __init__(self, name: str, settings: Settings, roster: str) -> None:
        super().__init__(name)
        self.settings = settings
        self.roster = Roster(roster)
        self.clock = SystemClock()
        bundles = settings.bundles
        self.acceptance = Acceptance(schemas(self.roster.points), bundles.trust, require=bundles.require_signature)
        self.desk: Desk
        self._jobs: asyncio.Queue[Job] = asyncio.Queue(QUEUE)
        self._handle: Any = None
        self._line: direct.Line | None = None  # to the appender, if it is on this node
        self._following = asyncio.Event()
        self._prepared: list[Prepared] = []
        self._sendable = asyncio.Event()
        self._flight: asyncio.Task[bool] | None = None  # the batch sent last
        self._flying = 0
        self._spoiled = False  # a batch failed: what is prepared after it did not happen
        self._sound = asyncio.Event()  # the desk holds what the ledger holds and what is prepared
        self._sound.set()
        self._quiet = asyncio.Event()  # nothing is prepared or on its way
        self._quiet.set()
        self._pushes = 0
        self._own = self._followed = self._saved = 0
        self._wake: int | None = None
        self._batch_number = 0
        self._handled = self._commits = 0

    # -- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Serve once the ledger can be read. That it cannot is no fault of this process: a restart would not help, and
        would use up what its supervisor allows.
        """
        while True:
            try:
                await self._open()
                break
            except Temporary as error:
                self.log.warning("waiting for the ledger: %s", error)
                await asyncio.sleep(LEDGER_AWAY)
        await self.listen({"submit": self.submit})
        self.spawn(self._prepare_loop())
        self.spawn(self._send_loop())
        self.spawn(self._follow_loop())
        await self._following.wait()
        self.settle_memory()

    async def _open(self) -> None:
        self.store = Store.open(self.settings.ledger_url, read_only=True)
        info = {"pid": os.getpid(), "node": self.node}
        self.incarnation, self.epoch = await self._appender("register", self.name, info)
        self._line = await direct.connect(actor_name("appender"))
        self._batch_number = 0
        bundle = await self._bundle_in_force()
        self._rebuild(bundle)

    def make(self) -> Manager:
        manager: Manager = resolve(self.roster.managers[self.name])(self.settings)
        return manager

    async def drain(self) -> None:
        """Finish what was accepted, keep a snapshot, and stop."""
        await asyncio.wait_for(self._jobs.join(), 10)
        await self._save()
        await self.stop_tasks()
        self.store.close()

    def _rebuild(self, bundle: tiki.Bundle) -> None:
        """The desk from the last snapshot and the records after it."""
        self.desk = Desk(self.make(), bundle, self.store)
        self._own = self._followed = 0
        saved = self.store.snapshot_load(self.name)
        if saved is not None:
            snapshot = msgspec.msgpack.decode(saved.body, type=Snapshot)
            self.desk.restore(snapshot.body)
            self._own, self._followed = snapshot.own, snapshot.followed
        self._saved = self._own + self._followed
        self._catch_up()

    def _catch_up(self) -> None:
        """Fold what the ledger holds beyond what was folded; events that it raises are decided with the next job."""
        kinds, pairs = self._wanted()
        points = [p.name for p in self.desk.manager.points]
        streams = [
            self.store.read(after=self._own, points=points),
            self.store.read(after=self._followed, kinds=sorted(kinds)),
        ]
        for kind, point in sorted(pairs):
            streams.append(self.store.read(after=self._followed, kinds=[kind], points=[point]))
        last = 0
        for record in heapq.merge(*streams, key=lambda r: r.header.seq):
            if record.header.seq > last:
                last = record.header.seq
                self._absorb(record)

    def _absorb(self, record: Record) -> None:
        seq = record.header.seq
        if record.header.writer == self.name:
            if seq <= self._own:
                return
            self._own = seq
        elif seq <= self._followed:
            return
        else:
            self._followed = seq
        if record.header.kind == Kind.BUNDLE:
            self._adopt(record)
        else:
            self.desk.absorb(record)

    def _adopt(self, record: Record) -> None:
        """Decide by the bundle of this record if it stands up to this process's own check."""
        bundle = self.acceptance.take(record, self.desk.bundle)
        if self.acceptance.refused:
            self.log.error("a bundle is refused, and what was in force stays: %s", self.acceptance.refused.why)
        if bundle.digest != self.desk.bundle.digest:
            self.desk.use(bundle)

    async def _bundle_in_force(self) -> tiki.Bundle:
        while (found := self.acceptance.newest(self.store)) is None:
            await asyncio.sleep(0.05)  # the gate records the first bundle while it starts
        if self.acceptance.refused:
            self.log.error("the newest bundle on record is refused: %s", self.acceptance.refused.why)
        return found.bundle

    async def _follow_loop(self) -> None:
        """Be pushed what this manager follows, by whichever appender is alive."""
        kinds, pairs = self._wanted()
        while True:
            self._pushes, self._wake = 0, None
            try:
                self.epoch, _ = await self._appender(
                    "follow", self.name, actor_name(self.name), sorted(kinds), sorted(pairs)
                )
                if not self._flying and (self._line is None or self._line.broken):
                    self._line = await direct.connect(actor_name("appender"))
                await self.do(self._catching_up)
            except Temporary as error:
                self.log.warning("nobody is followed yet: %s", error)
                await asyncio.sleep(LEDGER_AWAY)
                continue
            self.followed_anew()
            self._following.set()
            with contextlib.suppress(ray.exceptions.RayError):
                await self._handle.wait_closed.remote()
            self._handle = None

    def _catching_up(self, now: int) -> tuple[list[Entry], Any]:
        self._catch_up()
        return self.desk.settle(now), None

    def _wanted(self) -> tuple[set[str], set[tuple[str, str]]]:
        manager = self.desk.manager
        kinds = {Kind.MODE.value, Kind.FREEZE.value, Kind.BUNDLE.value} | {
            f.kind.value for f in manager.follows if not f.point
        }
        pairs = {(f.kind.value, f.point) for f in manager.follows if f.point}
        pairs |= {(k.value, p.name) for k in (Kind.EFFECT, Kind.OUTCOME) for p in manager.points}
        return kinds, pairs

    # -- what others call --------------------------------------------------------------------------------------------

    async def submit(self, raw: bytes) -> bytes:
        """Decide events (msgpack list of Event); msgpack list with one list of replies, or a rejection, for each."""
        events = _events.decode(raw)

        replies = await self.do(lambda now: self.desk.handle(events, now))
        self._handled += len(events)
        return _packed.encode(replies)

    async def report(self, report: Mapping[str, Any]) -> None:
        await self.do(lambda now: (self.desk.watch([report], now), None))

    async def follow(self, number: int, raw: bytes) -> None:
        """A push of the appender: records of others that this manager folds."""
        records = _records.decode(raw)
        complete = number == self._pushes
        self._pushes = number + 1

        def work(now: int) -> tuple[list[Entry], Any]:
            if not complete:
                self._catch_up()
            for record in records:
                self._absorb(record)
            return self.desk.settle(now), None

        await self.do(work)

    async def tick(self, number: int, time: int) -> None:
        """Ledger time has passed; `number` tells whether a push was missed."""
        missed = number > self._pushes
        self._pushes = max(self._pushes, number)

        def work(now: int) -> tuple[list[Entry], Any]:
            if missed:
                self._catch_up()
            return self.desk.tick(max(now, time)), None

        await self.do(work)

    async def answer(self, decision: str, action: str, args: dict[str, Any], by: str, words: str) -> bytes:
        def work(now: int) -> tuple[list[Entry], Any]:
            reply, entries = self.desk.answer(decision, action, args, by, words, now)
            return entries, reply

        return encode(await self.do(work))

    async def cases(self) -> bytes:
        await self._following.wait()
        return encode(list(self.desk.state.cases.values()))

    async def modes(self) -> dict[str, dict[str, str]]:
        await self._following.wait()
        return self.desk.state.modes

    async def view(self) -> Any:
        """What the manager shows of its state, as plain data."""
        await self._following.wait()
        return self.desk.manager.view(self.clock.now())

    async def health(self) -> dict[str, Any]:
        await self._following.wait()
        return {
            **self.vitals(),
            "incarnation": self.incarnation,
            "bundle": self.desk.bundle.digest,
            "bundle_refused": self.acceptance.refused and self.acceptance.refused._asdict(),
            "cases": len(self.desk.state.cases),
            "events": self._handled,
            "commits": self._commits,
            "waiting": self._jobs.qsize(),
        }

    # -- the queue ---------------------------------------------------------------------------------------------------

    async def do(self, work: Callable[[int], tuple[list[Entry], Any]]) -> Any:
        """Run `work` on the desk and commit its entries; its result once they are committed."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            self._jobs.put_nowait(Job(work, future))
        except asyncio.QueueFull:
            raise Temporary(f"{self.name} has {QUEUE} requests waiting; send slower, or again in a moment") from None
        return await future

    async def _prepare_loop(self) -> None:
        """Have the desk do what came, a few rounds ahead of the commits."""
        while True:
            jobs = [await self._jobs.get()]
            while not self._jobs.empty() and len(jobs) < ROUND:
                jobs.append(self._jobs.get_nowait())
            if len(self._prepared) >= AHEAD or self._save_due():
                await self._quiet.wait()
            await self._sound.wait()
            prepared = self._prepare(jobs)
            self._prepared.append(prepared)
            self._quiet.clear()
            self._sendable.set()
            if prepared.entries is None:
                self._sound.clear()

    async def _send_loop(self) -> None:
        """Commit what is prepared, two batches on their way at a time, and build the state anew if one fails."""
        while True:
            await self._sendable.wait()
            self._sendable.clear()
            if self._spoiled:
                await self._recover()
            elif self._prepared and self._flying < FLIGHTS:
                self._launch()
            elif not self._prepared and not self._flying:
                await self._settled()
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
        self._flight = asyncio.get_running_loop().create_task(self._fly(self._flight, entries, done))
        self._flight.add_done_callback(self._ended)

    async def _fly(
        self, previous: "asyncio.Task[bool] | None", entries: list[Entry], done: list[tuple[Job, Any]]
    ) -> bool:
        kept = await self._send(previous, entries, done)
        self._flying -= 1
        if not kept:
            self._spoiled = True
            self._sound.clear()
        self._sendable.set()
        return kept

    async def _recover(self) -> None:
        """What was prepared on a state that did not come about is void, and is to be sent again."""
        self._sound.clear()
        if self._flight is not None:
            await self._flight
        void, self._prepared = self._prepared, []
        error = Temporary(f"{self.name} is catching up with the ledger; send it again")
        self._lost([job for prepared in void for job, _ in prepared.done], error)
        await self._restore()
        self._flight, self._spoiled = None, False
        self._sound.set()
        self._sendable.set()

    def _prepare(self, jobs: list[Job]) -> Prepared:
        """The entries of these jobs; None when one of them broke the desk, and all that was not yet sent is void."""
        entries: list[Entry] | None = []
        done: list[tuple[Job, Any]] = []
        now = self.clock.now()
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
                self.log.exception("a bug in %s", self.name)
                self._lost([job], Bug(f"{self.name}: {type(error).__name__}: {error}"))
                entries = None
        return Prepared(entries, done)

    async def _send(
        self, previous: "asyncio.Task[bool] | None", entries: list[Entry], done: list[tuple[Job, Any]]
    ) -> bool:
        """Commit, then tell those who wait; False if nothing was committed. `previous`: the batch sent before."""
        problem: EliasError | None = None
        try:
            await self._commit(entries) if entries else self._want_tick()
        except EliasError as error:
            problem = error
        if previous is not None and not await previous:
            problem = Temporary(f"{self.name} is catching up with the ledger; send it again")
        if isinstance(problem, Fenced):
            os._exit(3)  # a newer incarnation is in charge
        if problem is not None:
            self._lost([job for job, _ in done], problem)
            return False
        for job, result in done:
            if not job.future.done():
                job.future.set_result(result)
            self._jobs.task_done()
        self.committed()
        return True

    def _want_tick(self) -> None:
        """Have the appender make a tick when the next timer of this manager is due, unless it was told so before."""
        wake = self.desk.wake()
        if wake is not None and wake != self._wake and self._handle is not None:
            self._wake = wake
            self._handle.wake.remote(wake)

    async def _commit(self, entries: list[Entry]) -> None:
        """Sent once: whatever goes wrong, the ledger says what became of it, and the state is built anew from there."""
        batch = Batch(self.name, self.incarnation, self._batch_number, entries)
        self._batch_number += 1
        self._wake = self.desk.wake() if self._following.is_set() else None
        call = (_packed.encode(batch), self._wake or 0)
        # Batches are numbered, and those under way at a time must not overtake one another: one way for all of them.
        line = self._line
        answer = await (line.call("append", *call) if line else self._appender("append", *call, patience=0.0))
        last: int = answer[1]
        self._own = max(self._own, last)
        self._commits += 1

    def committed(self) -> None:
        """Called after each commit."""

    def followed_anew(self) -> None:
        """Called when an appender, the first or its replacement, carries records to this manager."""

    def _save_due(self) -> bool:
        return self._own + self._followed - self._saved > 2 * self.settings.ledger.snapshot_every

    async def _settled(self) -> None:
        """Nothing is on its way: what the desk holds is what the ledger holds."""
        if self._save_due() and not self.desk.owes:
            await self._save()

    async def _save(self) -> None:
        self._saved = self._own + self._followed
        body = _packed.encode(Snapshot(self._own, self._followed, self.desk.snapshot()))
        try:
            await self._appender("snapshot", self.name, min(self._own, self._followed), body)
        except EliasError as error:
            self.log.warning("no snapshot: %s", error)

    async def _restore(self) -> None:
        """What was folded did not happen: build the state again from what did, as soon as that can be read."""
        while True:
            try:
                self._batch_number = next((s.number + 1 for s in self.store.standings() if s.writer == self.name), 0)
                self._rebuild(await ManagerService._bundle_in_force(self))  # not an edit that is not on record
                self._line = await direct.connect(actor_name("appender"))
                return
            except Temporary as error:
                self._lost([self._jobs.get_nowait() for _ in range(self._jobs.qsize())], error)
                await asyncio.sleep(LEDGER_AWAY)

    def _lost(self, jobs: list[Job], error: EliasError) -> None:
        for job in jobs:
            if not job.future.done():
                job.future.set_exception(error)
            self._jobs.task_done()

    async def _appender(self, method: str, *args: Any, patience: float = PATIENCE) -> Any:
        """Call the appender, and for `patience` seconds again while it is being replaced or the database is busy."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        problem: EliasError
        while True:
            try:
                if self._handle is None:
                    self._handle = ray.get_actor(actor_name("appender"), NAMESPACE)
                return await getattr(self._handle, method).remote(*args)
            except ray.exceptions.RayTaskError as error:
                problem = error.cause if isinstance(error.cause, EliasError) else Bug(str(error.cause))
                if not isinstance(problem, Temporary):
                    raise problem from None
            except (ray.exceptions.RayError, ValueError):
                self._handle = None
                problem = Temporary("the appender is being restarted; send it again")
            if loop.time() >= deadline:
                raise problem
            await asyncio.sleep(0.1)
