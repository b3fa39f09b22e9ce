"""The gate as an actor: it also puts bundles in force, sends released effects to their executors, and records what
came of them.
"""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from typing import Any

import msgspec
import ray

import tiki
from federation.clock import SECOND
from federation.effects import Executor, FreezeFlag, Order
from federation.errors import EliasError, Refused, Temporary
from federation.gate import SUPERVISION, Gate, Wish, freeze_entry, order_of
from federation.manager import Emission, Manager
from federation.points import Mode, schemas, versions
from federation.records import BundleText, Entry, Event, Freeze, Kind, Outcome, encode
from federation.records import Mode as ModeBody
from federation.runtime.manager import ManagerService
from federation.runtime.service import NAMESPACE, actor_name
from federation.settings import Settings

RESCAN = 1.0  # seconds between looks at the spec folder
ADOPTION = 5.0  # seconds for a manager to take a new bundle; one that is being restarted reads it from the ledger
RECORD = 2.0  # seconds for which a freeze waits to be on record before it says that the record follows
GRACE = 5.0  # seconds past its expiry that an executor is still asked what came of an effect


class GateService(ManagerService):
    def __init__(self, name: str, settings: Settings, roster: str) -> None:
        super().__init__(name, settings, roster)
        self.frozen = FreezeFlag(settings.state)
        self._sent: set[str] = set()
        self._agents: dict[str, str] = {}
        self._problem: dict[str, Any] = {}
        self._word: Freeze | None = None  # a person's newest word on the freeze, while it is not on record

    def make(self) -> Manager:
        gate = Gate(self.settings)
        gate.epoch, gate.incarnation = self.epoch, self.incarnation
        return gate

    @property
    def gate(self) -> Gate:
        gate = self.desk.manager
        assert isinstance(gate, Gate)
        return gate

    async def start(self) -> None:
        path = self.settings.state / "nodes" / self.node / "gate.db"
        self._executor = Executor(path, {"supervision.resume": _Resume()}, self.clock, self.frozen)
        await super().start()
        self._in_force = self.desk.bundle
        self._executor.greet(self.epoch, self.incarnation)
        self.spawn(self._watch_specs())
        self.spawn(self._watch_freeze())
        self.committed()

    # -- bundles -----------------------------------------------------------------------------------------------------

    async def _bundle_in_force(self) -> tiki.Bundle:
        """The specs of the folder if they are sound, else those that were in force before."""
        found = self.store.latest(1, kinds=[Kind.BUNDLE])
        try:
            bundle = self._load()
        except _UNSOUND as error:
            self._problem = problem_of(error)
            if not found:
                raise
            return await super()._bundle_in_force()
        if not found or msgspec.json.decode(found[0].body, type=BundleText).digest != bundle.digest:
            await self._commit([self._bundle_entry(bundle)])
        return bundle

    def _load(self) -> tiki.Bundle:
        folder = self.settings.spec_folder
        overlay = folder / "overlays" / self.settings.overlay if self.settings.overlay else None
        bundle = tiki.load(folder, schemas(self.roster.points), overlay)
        if not bundle.texts:  # a folder that is not mounted is no edit that takes every guard away
            cure = "see that it is there and readable, and `specs` in elias.yaml"
            raise Refused("no-specs", "there is no spec in this folder", place=str(folder), cure=cure)
        return bundle

    def _bundle_entry(self, bundle: tiki.Bundle) -> Entry:
        text = BundleText(bundle.digest, bundle.texts, versions(self.roster.points))
        return Entry(Kind.BUNDLE, "", "", "", encode(text))

    async def _watch_specs(self) -> None:
        """Put an edit in force for the next event; a broken one is reported and changes nothing."""
        seen = self._stamp()
        while True:
            await asyncio.sleep(RESCAN)
            stamp = self._stamp()
            if stamp == seen:
                continue
            try:
                bundle = self._load()
                if bundle.digest != self._in_force.digest:
                    await self._put_in_force(bundle)
            except Temporary as error:
                self.log.warning("the edited specs are not in force yet: %s", error)
                continue
            except _UNSOUND as error:
                self._problem = problem_of(error)
                self.log.warning("the edited specs are not in force: %s", error)
            else:
                self._problem = {}
            seen = stamp

    async def _put_in_force(self, bundle: tiki.Bundle) -> None:
        """Record the bundle, and say that it is in force once every manager that answers has it."""

        def work(now: int) -> tuple[list[Entry], Any]:
            self.desk.use(bundle)
            return [self._bundle_entry(bundle)], None

        await self.do(work)
        for name in self.roster.managers:
            with contextlib.suppress(ray.exceptions.RayError, ValueError, TimeoutError):
                manager = ray.get_actor(actor_name(name), NAMESPACE)
                async with asyncio.timeout(ADOPTION):
                    while (await manager.health.remote())["bundle"] != bundle.digest:
                        await asyncio.sleep(0.02)
        self._in_force = bundle

    def _stamp(self) -> list[tuple[str, int, int]]:
        stamps = []
        for folder, _, files in os.walk(self.settings.spec_folder):
            for name in files:
                if name.endswith((".tiki", ".md")):
                    path = os.path.join(folder, name)
                    with contextlib.suppress(OSError):  # moved away meanwhile, or an editor's lock that points nowhere
                        stat = os.stat(path)
                        stamps.append((path, stat.st_mtime_ns, stat.st_size))
        return sorted(stamps)

    async def bundle(self) -> dict[str, Any]:
        """The bundle in force, and what is wrong with the folder if it is not the same."""
        bundle = self._in_force
        return {"digest": bundle.digest, "sources": bundle.texts, "problem": self._problem}

    # -- a person's word ---------------------------------------------------------------------------------------------

    async def set_mode(self, action: str, mode: str, by: str) -> None:
        point, _, name = action.partition("/")
        known = self.roster.points.get(point)
        if known is None or name not in known.effects:
            actions = ", ".join(sorted(f"{p.name}/{a}" for p in self.roster.points.values() for a in p.effects))
            raise Refused("no-action", f"`{action}` is not an action with an effect", cure=f"one of: {actions}")
        if mode not in set(Mode):
            raise Refused("no-mode", f"`{mode}` is not a mode", cure="one of: observe, approve, act")
        await self._note(Emission(Kind.MODE, "", "", "", ModeBody(action, mode, by)))

    async def set_freeze(self, on: bool, by: str, reason: str) -> bool:
        """The nodes first, the record after: a freeze must not wait for the database. False: the record follows."""
        self._tell_nodes(on, by)
        self._word = Freeze(on, by, reason)
        recording = self.spawn(self._record_freeze(self._word))
        await asyncio.wait({recording}, timeout=RECORD)
        return self._word is None

    def _tell_nodes(self, on: bool, by: str) -> None:
        self.frozen.set(on, by)
        for actor in set(self._agents.values()):
            with contextlib.suppress(ValueError):  # it is being replaced, and is told when it reports
                ray.get_actor(actor, NAMESPACE).freeze.remote(on, by)

    async def _record_freeze(self, word: Freeze) -> None:
        """Until it is on record, or a newer word counts."""
        while self._word is word:
            try:
                await self._note(freeze_entry(word.on, word.by, word.reason))
            except EliasError as error:
                self.log.warning("the freeze is not on record yet: %s", error)
                await asyncio.sleep(RESCAN)
            else:
                if self._word is word:
                    self._word = None

    async def _watch_freeze(self) -> None:
        """What the file says and what the record says become one, and it is the freeze: a command may have set the
        file while this process or the API was away.
        """
        while True:
            await asyncio.sleep(RESCAN)
            if self._word is not None or bool(self.frozen) == self.gate.state.frozen:
                continue
            if self.frozen:
                await self.set_freeze(True, self.frozen.by, "found frozen")
            else:
                self._tell_nodes(True, "the record")

    async def _note(self, emission: Emission) -> None:
        entry = Entry(emission.kind, emission.point, emission.subject, emission.decision, encode(emission.body))

        def work(now: int) -> tuple[list[Entry], Any]:
            self.desk.take(entry)
            return [entry, *self.desk.settle(now)], None

        await self.do(work)

    async def supervision_exceeded(self, what: Mapping[str, Any]) -> None:
        """The root supervisor gave up on a child: a case for a person."""
        data = {"child": str(what["child"]), "restarts": int(what["restarts"]), "supervisor": str(what["supervisor"])}
        event = Event(
            f"exceeded {what['child']} {self.clock.now()}",
            "elias/root",
            SUPERVISION.events[0],
            str(what["child"]),
            None,
            data,
        )
        await self.do(lambda now: self.desk.handle([event], now))

    # -- effects -----------------------------------------------------------------------------------------------------

    async def report(self, report: Mapping[str, Any]) -> None:
        """A node agent says where it can be reached."""
        node, actor = str(report["node"]), str(report["actor"])
        if self._agents.get(node) != actor:
            self._agents[node] = actor
            agent = ray.get_actor(actor, NAMESPACE)
            agent.greet.remote(self.epoch, self.incarnation)
            if self.frozen:
                agent.freeze.remote(True, self.frozen.by)
        self.committed()

    def followed_anew(self) -> None:
        """A new appender means a new epoch: every agent is to hear of it before the next release."""
        self.gate.epoch = self.epoch
        self._agents.clear()

    def committed(self) -> None:
        for decision, wish in self.gate.state.released.items():
            if decision not in self._sent:
                self._sent.add(decision)
                self.spawn(self._dispatch(wish))

    async def _dispatch(self, wish: Wish) -> None:
        outcome = await self._outcome(wish)
        entry = Entry(Kind.OUTCOME, wish.point, wish.subject, wish.decision, encode(outcome))

        def work(now: int) -> tuple[list[Entry], Any]:
            self.desk.take(entry)
            return [entry, *self.desk.settle(now)], None

        try:
            await self.do(work)
        except EliasError as error:
            self.log.warning(
                "the outcome of %s is not on record yet, its executor will be asked again: %s", wish.decision, error
            )
        finally:
            self._sent.discard(wish.decision)

    async def perform(self, raw: bytes) -> bytes:
        """The gate's own effects: what a person decides about the supervision tree."""
        return msgspec.msgpack.encode(await self._executor.perform(msgspec.msgpack.decode(raw, type=Order)))

    async def _outcome(self, wish: Wish) -> Outcome:
        """Ask the executor until it answers; after the expiry it can only tell what it did before."""
        # In the name of this gate, whoever released it: one that was restarted sends what the one before it did not.
        order = msgspec.structs.replace(order_of(wish), epoch=self.epoch, incarnation=self.incarnation)
        raw = msgspec.msgpack.encode(order)
        while True:
            actor = self._actor_of(wish.effect.node)
            if actor is not None:
                try:
                    return msgspec.msgpack.decode(
                        await ray.get_actor(actor, NAMESPACE).perform.remote(raw), type=Outcome
                    )
                except (ray.exceptions.RayError, ValueError) as error:
                    self.log.warning("%s does not answer: %s", actor, type(error).__name__)
            if self.clock.now() > order.expires + round(GRACE * SECOND):
                return Outcome("unknown", f"{wish.effect.node} was not reached in time")
            await asyncio.sleep(0.5)

    def _actor_of(self, node: str) -> str | None:
        """`@ucm` is the outbound delivery of that manager; anything else a node's agent."""
        return actor_name(node[1:]) if node.startswith("@") else self._agents.get(node)


class _Resume:
    """Tells the root supervisor to try a subtree again."""

    async def do(self, order: Order) -> Outcome:
        await ray.get_actor(actor_name("root"), NAMESPACE).resume.remote(order.args["supervisor"])
        return Outcome("done")

    async def probe(self, order: Order) -> Outcome:
        return Outcome("unknown", "interrupted; the supervision tree shows whether it runs")


_UNSOUND = (tiki.Invalid, Refused, OSError)
"""What keeps the specs of the folder from coming into force."""


def problem_of(error: Exception) -> dict[str, Any]:
    return {"message": str(error), "count": len(error.diagnostics) if isinstance(error, tiki.Invalid) else 1}
