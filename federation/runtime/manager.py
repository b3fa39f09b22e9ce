"""A manager as an actor: its desk, what it follows, and its place in the log."""

import asyncio
import contextlib
import heapq
import os
from collections.abc import Iterable
from itertools import chain
from typing import Any

import msgspec
import ray

import tiki
from federation.bundles.acceptance import Acceptance
from federation.clock import SystemClock
from federation.desk import Desk
from federation.errors import Bug, EliasError, Refused, Temporary
from federation.figures import Figures
from federation.ledger.appender import Batch
from federation.ledger.store import Store
from federation.manager import EVERYBODYS, Manager
from federation.points import schemas
from federation.policy.tier import Tier
from federation.records import Entry, Event, Kind, Record, encode, of_case
from federation.replies import Rejected, Reply
from federation.runtime import direct
from federation.runtime.advising import Advising
from federation.runtime.consulting import Consulting
from federation.runtime.link import RayLink
from federation.runtime.pipeline import ROUND, Pipeline, Work
from federation.runtime.reporting import unpacked
from federation.runtime.roster import Roster, resolve
from federation.runtime.service import NAMESPACE, Service, actor_name
from federation.settings import Settings

PATIENCE = 8.0  # seconds for which the appender is called again while it is away: its restart takes about 2
LEDGER_AWAY = 0.5  # seconds until a database that did not answer is asked again

_events = msgspec.msgpack.Decoder(list[Event])
_records = msgspec.msgpack.Decoder(list[Record])
_packed = msgspec.msgpack.Encoder()


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
        self._pipeline = Pipeline(self, self.clock)
        self._consulting = Consulting(self, RayLink(), 2 * settings.policy.deadline)
        self._advising = Advising(self, RayLink(), settings.advisors.deadline)
        self.tier = Tier.of(settings.policy)
        self._figures = Figures()
        self._handle: Any = None
        self._line: direct.Line | None = None  # to the appender, if it is on this node
        self._through_ray, self._hearing = asyncio.Lock(), asyncio.Lock()
        self._following = asyncio.Event()
        self._pushes = 0
        self._caught_up = False  # with what was committed before this appender began to push
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
        await self.listen({"submit": self.submit, "hear": self.hear})
        self._pipeline.start()
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
        await asyncio.wait_for(self._pipeline.join(), 10)
        await self._save()
        await self.stop_tasks()
        self.store.close()

    def _rebuild(self, bundle: tiki.Bundle) -> None:
        """The desk from the last snapshot and the records after it."""
        self.desk = Desk(self.make(), bundle, self.store, self.tier, self._figures, self.settings.advisors)
        self._own = self._followed = 0
        saved = self.store.snapshot_load(self.name)
        if saved is not None:
            snapshot = msgspec.msgpack.decode(saved.body, type=Snapshot)
            self.desk.restore(snapshot.body)
            self._own, self._followed = snapshot.own, snapshot.followed
        self._saved = self._own + self._followed
        self._catch_up()

    def _catch_up(self) -> None:
        """Fold what the ledger holds beyond what was folded; events that it raises are decided with the next job.

        While batches are on their way, of the records of others alone: the desk has folded what is in those, and the
        ledger may hold it before this manager hears so. Should it hold an earlier batch that was given up for lost, the
        appender fences this incarnation for the gap in its numbers.
        """
        kinds, pairs, cases = self._wanted()
        points = [p.name for p in self.desk.manager.points]
        streams: list[Iterable[Record]] = [
            self.store.read(after=self._own, points=points),
            self.store.read(after=self._followed, kinds=sorted(kinds)),
        ]
        if cases:
            there = self.store.read(after=self._followed, kinds=sorted(cases))
            streams.append(record for record in there if of_case(record.header.kind, record.body))
        for kind, point in sorted(pairs):
            streams.append(self.store.read(after=self._followed, kinds=[kind], points=[point]))
        last, ahead = 0, self._pipeline.ahead
        for record in heapq.merge(*streams, key=lambda r: r.header.seq):
            if record.header.seq > last:
                last = record.header.seq
                if not (ahead and record.header.writer == self.name):
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
        told = None
        while True:
            found, refused = self.acceptance.newest(self.store), self.acceptance.refused
            if refused and refused != told:
                told = refused
                self.log.error("the newest bundle on record is refused: %s", refused.why)
            if found is not None:
                return found.bundle
            await asyncio.sleep(0.05)  # the gate records the first bundle while it starts

    async def _follow_loop(self) -> None:
        """Be pushed what this manager follows, by whichever appender is alive."""
        kinds, pairs, cases = self._wanted()
        while True:
            self._pushes, self._wake, self._caught_up = 0, None, False
            try:
                self.epoch, _ = await self._appender(
                    "follow", self.name, actor_name(self.name), sorted(kinds), sorted(pairs), sorted(cases)
                )
                await self._connect()
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

    async def _connect(self) -> None:
        """Take the short way to the appender, unless a batch is on its way through Ray and might be overtaken."""
        if self._line is None or self._line.broken:
            line = await direct.connect(actor_name("appender"))
            if line is not None and self._pipeline.flying:
                await line.close()
            else:
                self._line = line

    def _catching_up(self, now: int) -> tuple[list[Entry], Any]:
        self._catch_up()
        self._caught_up = True
        return self.desk.settle(now), None

    def _wanted(self) -> tuple[set[str], set[tuple[str, str]], set[str]]:
        """Kinds, pairs of kind and point, and kinds of which only what may concern a case."""
        manager = self.desk.manager
        kinds = {kind.value for kind in (*EVERYBODYS, Kind.BUNDLE)} | {
            f.kind.value for f in manager.follows if not f.point and not f.cases
        }
        pairs = {(f.kind.value, f.point) for f in manager.follows if f.point}
        pairs |= {(k.value, p.name) for k in (Kind.EFFECT, Kind.OUTCOME) for p in manager.points}
        return kinds, pairs, {f.kind.value for f in manager.follows if f.cases}

    # -- what others call --------------------------------------------------------------------------------------------

    async def submit(self, raw: bytes) -> bytes:
        """Decide events (msgpack list of Event); msgpack list with one list of replies, or a rejection, for each."""
        events = _events.decode(raw)
        parts = [events[at : at + ROUND] for at in range(0, len(events), ROUND)]
        replies = await asyncio.gather(*map(self._decide, parts))
        self._handled += len(events)
        return _packed.encode(list(chain.from_iterable(replies)))

    async def _decide(self, events: list[Event]) -> list[list[Reply] | Rejected]:
        """What the policy is asked about is answered with its word, milliseconds later; meanwhile others are served."""
        replies: list[list[Reply] | Rejected] = await self.do(lambda now: self.desk.handle(events, now), len(events))
        return await self._consulting.told(replies)

    async def hear(self, messages: list[bytes]) -> None:
        """Reports of nodes, as `Reporter` packs them."""
        async with self._hearing:  # or an older word on a node could come after a newer one
            reports = unpacked(messages)
            for at in range(0, len(reports), ROUND):
                try:
                    await self._watch(reports[at : at + ROUND])
                except Bug as error:
                    self.log.error("some reports of nodes could not be taken: %s", error)

    async def _watch(self, reports: list[dict[str, Any]]) -> None:
        await self.do(lambda now: (self.desk.watch(reports, now), None), len(reports))

    async def follow(self, number: int, raw: bytes) -> None:
        """A push of the appender: records of others that this manager folds."""
        records = _records.decode(raw)
        complete = number == self._pushes
        self._pushes = number + 1

        def work(now: int) -> tuple[list[Entry], Any]:
            if not (complete and self._caught_up):
                self._catch_up()
            for record in records:
                self._absorb(record)
            return self.desk.settle(now), None

        await self.do(work)

    async def tick(self, number: int, time: int, seq: int) -> None:
        """Ledger time has passed; `number` tells whether a push was missed. seq: of the tick's record, up to which what
        this manager follows is folded therefore.
        """
        missed = number > self._pushes
        self._pushes = max(self._pushes, number)

        def work(now: int) -> tuple[list[Entry], Any]:
            if missed or not self._caught_up:
                self._catch_up()
            self._followed = max(self._followed, seq)
            return self.desk.tick(max(now, time)), None

        await self.do(work)

    async def answer(self, decision: str, action: str, args: dict[str, Any], by: str, words: str) -> bytes:
        def work(now: int) -> tuple[list[Entry], Any]:
            reply, entries = self.desk.answer(decision, action, args, by, words, now)
            return entries, reply

        return encode(await self.do(work))

    async def report_outcomes(self, outcomes: list[tuple[str, float, str]], by: str) -> list[Refused | None]:
        """See `Desk.report_outcomes`."""

        def work(now: int) -> tuple[list[Entry], Any]:
            found, entries = self.desk.report_outcomes(outcomes, by)
            return entries, found

        found: list[Refused | None] = await self.do(work, len(outcomes))
        return found

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
            "cases": len(self.desk.state.cases) - len(self.desk.cases.consulting),
            "events": self._handled,
            "commits": self._commits,
            "waiting": self._pipeline.waiting,
            "figures": {
                **self._figures.plain(),
                "consulted": self._consulting.seconds.plain(),
                "audits": {
                    point: {"checked": audit.checked, "wrong": audit.wrong, "broken": audit.broken}
                    for point, audit in self.desk.counsel.audits().items()
                },
                "trials": self.desk.counsel.trials(),
                "explored": self.desk.counsel.explored(self.clock.now()),
                "shadows_dropped": self.desk.counsel.shadow.dropped,
            },
        }

    # -- to the log --------------------------------------------------------------------------------------------------

    async def do(self, work: Work, events: int = 1) -> Any:
        """Run `work`, on so many events, on the desk and commit its entries; its result once they are committed."""
        return await self._pipeline.do(work, events)

    def want_tick(self) -> None:
        """Have the appender make a tick when the next timer of this manager is due, unless it was told so before."""
        wake = self.desk.wake()
        if wake is not None and wake != self._wake and self._handle is not None:
            self._wake = wake
            self._handle.wake.remote(wake)

    async def commit(self, entries: list[Entry]) -> None:
        """Sent once: whatever goes wrong, the ledger says what became of it, and the state is built anew from there."""
        batch = Batch(self.name, self.incarnation, self._batch_number, entries)
        self._batch_number += 1
        self._wake = self.desk.wake() if self._following.is_set() else None
        call = (_packed.encode(batch), self._wake or 0)
        # Batches are numbered, and those under way at a time must not overtake one another: one way for all of them,
        # and one after the other through Ray, which begins what is called on an async actor in any order.
        line = self._line
        if line:
            answer = await line.call("append", *call)
        else:
            async with self._through_ray:
                answer = await self._appender("append", *call, patience=0.0)
        last: int = answer[1]
        self._own = max(self._own, last)
        self._commits += 1

    def committed(self) -> None:
        """Called after each commit."""
        self._consulting.send()
        self._advising.send()

    def followed_anew(self) -> None:
        """Called when an appender, the first or its replacement, carries records to this manager."""

    def wants_rest(self) -> bool:
        return self._own + self._followed - self._saved > 2 * self.settings.ledger.snapshot_every

    async def rest(self) -> None:
        """A snapshot of the state is taken while it is just what the ledger holds."""
        if self.wants_rest() and not self.desk.owes:
            await self._save()

    async def _save(self) -> None:
        self._saved = self._own + self._followed
        body = _packed.encode(Snapshot(self._own, self._followed, self.desk.snapshot()))
        try:
            await self._appender("snapshot", self.name, min(self._own, self._followed), body)
        except EliasError as error:
            self.log.warning("no snapshot: %s", error)

    async def restore(self) -> None:
        """What was folded did not happen: build the state again from what did, as soon as that can be read."""
        while True:
            try:
                self._batch_number = next((s.number + 1 for s in self.store.standings() if s.writer == self.name), 0)
                self._rebuild(await ManagerService._bundle_in_force(self))  # not an edit that is not on record
                if self._line is not None:
                    await self._line.close()
                self._line = await direct.connect(actor_name("appender"))
                return
            except Temporary as error:
                self._pipeline.refuse_waiting(error)
                await asyncio.sleep(LEDGER_AWAY)

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
