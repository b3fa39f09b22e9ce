"""The gate as an actor: it also puts bundles in force, sends released effects to their executors, and records what
came of them.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec
import ray

import tiki
from federation.clock import SECOND
from federation.effects import Executor, FreezeFlag, Order
from federation.errors import EliasError, Refused, Temporary
from federation.gate import SUPERVISION, Gate, Wish, freeze_entry, order_of, standing
from federation.manager import Emission, Manager
from federation.points import Mode
from federation.records import Entry, Event, Freeze, Kind, Outcome, encode
from federation.records import Mode as ModeBody
from federation.runtime.bundles import Bundles
from federation.runtime.delivery import deliver
from federation.runtime.manager import ManagerService
from federation.runtime.reporting import unpacked
from federation.runtime.service import NAMESPACE, actor_name
from federation.settings import Settings

RESCAN = 1.0  # seconds between looks at the freeze flag
RECORD = 2.0  # seconds for which a freeze waits to be on record before it says that the record follows
GRACE = 5.0  # seconds past its expiry that a node's agent is still asked what came of an effect
_RELEASED = b'{"verdict":"released"'  # how the body of such an effect begins


class GateService(ManagerService):
    def __init__(self, name: str, settings: Settings, roster: str) -> None:
        super().__init__(name, settings, roster)
        self.frozen = FreezeFlag(settings.state)
        self.bundles = Bundles(self)
        self._on_record: set[str] = set()  # releases; the state also holds those that are still on their way there
        self._sent: set[str] = set()
        self._agents: dict[str, str] = {}
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
        self._executor.greet(self.epoch, self.incarnation)
        self.spawn(self.bundles.watch())
        self.spawn(self._watch_freeze())
        self.committed()

    async def health(self) -> dict[str, Any]:
        told = await super().health()
        now = self.clock.now()
        return {**told, "frozen": bool(self.frozen), "standing": standing(self.settings.gate, self.gate.state, now)}

    # -- bundles -----------------------------------------------------------------------------------------------------

    async def _bundle_in_force(self) -> tiki.Bundle:
        chosen, entries = self.bundles.first()
        if entries:
            await self.commit(entries)
        self.bundles.begin(chosen)
        return chosen.bundle

    async def bundle(self) -> dict[str, Any]:
        """The bundle in force, and what is wrong with the folder if it is not the same."""
        await self._following.wait()
        return {**self.bundles.describe(), "sources": self.bundles.in_force.bundle.texts}

    async def activate(self, file: str, by: str, reason: str) -> dict[str, Any]:
        await self._following.wait()
        return await self.bundles.activate(file, by, reason)

    async def roll_back(self, to: str, by: str, reason: str) -> dict[str, Any]:
        await self._following.wait()
        return await self.bundles.roll_back(to, by, reason)

    async def follow_folder(self, by: str, reason: str) -> dict[str, Any]:
        await self._following.wait()
        return await self.bundles.follow_folder(by, reason)

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

    async def hear(self, messages: list[bytes]) -> None:
        """Node agents say where they can be reached."""
        await self._following.wait()  # a call may come before the start
        for node, actor in {str(report["node"]): str(report["actor"]) for report in unpacked(messages)}.items():
            if self._agents.get(node) != actor:
                await self._meet(node, actor)
        self.committed()

    async def _meet(self, node: str, actor: str) -> None:
        try:
            agent = await asyncio.to_thread(ray.get_actor, actor, NAMESPACE)  # some thousand may be there at once
        except ValueError:
            return  # it has ended since; the next one will report
        self._agents[node] = actor
        agent.greet.remote(self.epoch, self.incarnation)
        if self.frozen or node != self.node:  # another node may have missed the end of a freeze
            agent.freeze.remote(bool(self.frozen), self.frozen.by)

    def followed_anew(self) -> None:
        """A new appender means a new epoch: every agent is to hear of it before the next release."""
        self.gate.epoch = self.epoch
        self._agents.clear()

    def _rebuild(self, bundle: tiki.Bundle) -> None:
        super()._rebuild(bundle)
        self._on_record = set(self.gate.state.released)

    async def commit(self, entries: list[Entry]) -> None:
        await super().commit(entries)
        self._on_record.update(e.decision for e in entries if e.kind == Kind.EFFECT and e.body.startswith(_RELEASED))

    def committed(self) -> None:
        self._on_record &= self.gate.state.released.keys()
        for decision, wish in self.gate.state.released.items():
            if decision in self._on_record and decision not in self._sent:
                self._sent.add(decision)
                self.spawn(self._dispatch(wish))

    async def _dispatch(self, wish: Wish) -> None:
        outcome = await self._outcome(wish)
        entry = Entry(Kind.OUTCOME, wish.point, wish.subject, wish.decision, encode(outcome))

        def work(now: int) -> tuple[list[Entry], Any]:
            if wish.decision not in self.gate.state.released:
                return [], None  # it stands on record: the answer of an earlier commit was lost
            self.desk.take(entry)
            return [entry, *self.desk.settle(now)], None

        try:
            await self.do(work)
            self._figures.outcomes[wish.point, wish.effect.action, outcome.status] += 1
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
        """What the executor says; after the expiry it can only tell what it did before. A node may be gone for good. A
        manager is made anew, and knows what it did, be it a training that lasts two days."""
        # In the name of this gate, whoever released it: one that was restarted sends what the one before it did not.
        order = msgspec.structs.replace(order_of(wish), epoch=self.epoch, incarnation=self.incarnation)
        raw, node = msgspec.msgpack.encode(order), wish.effect.node

        async def send() -> Outcome:
            actor = self._actor_of(node)
            if actor is None:
                raise Temporary(f"no agent of {node} has reported yet")
            try:
                said: bytes = await ray.get_actor(actor, NAMESPACE).perform.remote(raw)
                return msgspec.msgpack.decode(said, type=Outcome)
            except (ray.exceptions.RayError, ValueError) as error:
                raise Temporary(f"{actor} does not answer ({type(error).__name__})") from None

        until = None if _is_manager(node) else order.expires + round(GRACE * SECOND)
        outcome = await deliver(send, until, self.clock, self.log)
        return outcome or Outcome("unknown", f"{node} was not reached in time")

    def _actor_of(self, node: str) -> str | None:
        """`@ucm` is the outbound delivery of that manager; anything else a node's agent."""
        return actor_name(node[1:]) if _is_manager(node) else self._agents.get(node)


def _is_manager(node: str) -> bool:
    return node.startswith("@")


class _Resume:
    """Tells the root supervisor to try a subtree again."""

    async def do(self, order: Order) -> Outcome:
        await ray.get_actor(actor_name("root"), NAMESPACE).resume.remote(order.args["supervisor"])
        return Outcome("done")

    async def probe(self, order: Order) -> Outcome:
        return Outcome("unknown", "interrupted; the supervision tree shows whether it runs")
