"""The node agent: one on each node. It reports the node's figures and does what the gate has released, nothing else."""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import ray

from federation.clock import SystemClock
from federation.effects import Doer, Executor, FreezeFlag, Order
from federation.records import Outcome
from federation.runtime.cluster import HEADS, LABELS
from federation.runtime.reporting import HEARD, Relay, Reporter
from federation.runtime.roster import Roster, resolve
from federation.runtime.service import Service, actor_name, here
from federation.settings import Settings
from federation.telemetry import Probe

LOOK = 0.5  # seconds between two looks for an order to leave
MOST_HEADS = 16  # that are remembered

_order = msgspec.msgpack.Decoder(Order)


class NodeService(Service):
    """Base of those who act for nodes: they do what the gate releases, each order once, and say how the nodes are.

    node: whose record of what was done is kept; the node that it runs on where none is given.
    """

    executor: Executor

    def __init__(self, name: str, settings: Settings, node: str = "") -> None:
        super().__init__(name)
        self.settings = here(settings)
        self.folder: Path = self.settings.state / "nodes" / (node or self.node)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.frozen = FreezeFlag(self.settings.state)
        self.reporter = Reporter(actor_name(name))

    def take_orders(self, doers: Mapping[str, Doer]) -> None:
        """From now on, of these kinds."""
        self.executor = Executor(self.folder / "effects.db", doers, SystemClock(), self.frozen)
        self._started.set()

    async def perform(self, raw: bytes) -> bytes:
        """Do a released effect, once; msgpack Outcome."""
        return msgspec.msgpack.encode(await self.execute(_order.decode(raw)))

    async def execute(self, order: Order) -> Outcome:
        await self._started.wait()
        return await self.executor.perform(order)

    async def greet(self, epoch: int, incarnation: int) -> bool:
        await self._started.wait()
        return self.executor.greet(epoch, incarnation)

    async def freeze(self, on: bool, by: str) -> None:
        self.frozen.set(on, by)

    def vitals(self) -> dict[str, Any]:
        return {**super().vitals(), "frozen": bool(self.frozen)}

    async def drain(self) -> None:
        await self.stop_tasks()
        if self._started.is_set():
            self.executor.close()


class AgentService(NodeService):
    """`listeners`: the managers (and the gate) that want the reports. sign: file in the node's folder that is there
    while this agent is up, with the names of the jobs that run here. leave: file that somebody writes there so that the
    node takes no more work, and is reported as gone once it has none.
    """

    def __init__(
        self, name: str, settings: Settings, roster: str, listeners: tuple[str, ...], sign: str, leave: str
    ) -> None:
        super().__init__(name, settings)
        self.roster = Roster(roster)
        self.listeners = listeners
        self.sign, self.order = self.folder / sign, self.folder / leave
        self.labels = os.environ.get(LABELS, "").split()
        self.reports = 0
        self._relay = Relay(self, self.settings.telemetry.interval)
        self._told_leaving = False
        self.interfaces: dict[str, Any] = {}
        """What this node alone can reach, by name, for the agents of other nodes."""

    async def ask(self, interface: str, method: str, *args: Any) -> Any:
        """For the agent of another node: what this one's interface answers."""
        return await getattr(self.interfaces[interface], method)(*args)

    async def relay(self, raw: bytes) -> bytes:
        """See `Relay.take`; asked of the head's agent alone."""
        return self._relay.take(raw)

    async def start(self) -> None:
        self.doers: dict[str, Doer] = {}
        for path in self.roster.doers.values():
            self.doers.update(resolve(path)(self))
        self.take_orders(self.doers)
        self.probe = Probe(self.folder)
        self.address = str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
        self.spawn(self._report_loop())

    async def health(self) -> dict[str, Any]:
        return {**self.vitals(), "reports": self.reports}

    async def report_now(self) -> None:
        """Report out of turn: something changed that a manager should hear of at once."""
        await self._started.wait()
        await self._report()

    async def _report_loop(self) -> None:
        while not await self._report():
            leaving = self.leaving
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.settings.telemetry.interval):
                    while self.leaving == leaving:
                        await asyncio.sleep(LOOK)

    @property
    def leaving(self) -> bool:
        """Whether somebody has ordered it."""
        return self.order.exists()

    async def _report(self) -> bool:
        """Whether it was the last one: the node has left."""
        figures = self.probe.figures()
        extra: dict[str, Any] = {}
        for doer in dict.fromkeys(self.doers.values()):
            more = getattr(doer, "figures", None)
            if more is not None:
                extra.update(more())
        self.reports += 1
        leaving, jobs = self.leaving, [str(job["id"]) for job in extra.get("jobs", ())]
        # What was placed here before it was told has come by the second report that says so.
        left = leaving and self._told_leaving and "jobs" in extra and not jobs
        self._told_leaving = leaving
        report: dict[str, Any] = {"node": self.node, "labels": self.labels, "leaving": leaving, "left": left}
        report |= {**figures, **extra}
        if left:
            await self._say_goodbye(report)
            self.sign.unlink(missing_ok=True)
        else:
            self._note_heads(await self.reporter.send(self.listeners, [report]))
            self.sign.write_text("".join(f"{job}\n" for job in jobs))
        return left

    def _note_heads(self, now: list[str]) -> None:
        """Those of now first, then those of before: one that takes over has just left this cluster for that."""
        path = self.settings.state / HEADS
        before = path.read_text().split() if path.exists() else []
        heads = list(dict.fromkeys((*now, *before)))[:MOST_HEADS]
        if heads != before:
            path.write_text("".join(f"{head}\n" for head in heads))

    async def _say_goodbye(self, report: Mapping[str, object]) -> None:
        """Until everybody has heard it, or for as long as one may be away."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEARD):
                while not await self.reporter.deliver(self.listeners, [report]):
                    await asyncio.sleep(LOOK)
