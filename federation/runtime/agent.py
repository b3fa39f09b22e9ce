"""The node agent: one on each node. It reports the node's figures and does what the gate has released, nothing else."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import ray

from federation.clock import SystemClock
from federation.effects import Doer, Executor, FreezeFlag, Order
from federation.records import Outcome
from federation.runtime.roster import Roster, resolve
from federation.runtime.service import NAMESPACE, Service, actor_name
from federation.settings import Settings
from federation.telemetry import Probe

_order = msgspec.msgpack.Decoder(Order)


class NodeService(Service):
    """Base of those who act for nodes: they do what the gate releases, each order once, and say how the nodes are.

    node: whose record of what was done is kept; the node that it runs on where none is given.
    """

    executor: Executor

    def __init__(self, name: str, settings: Settings, node: str = "") -> None:
        super().__init__(name)
        self.settings = settings
        self.folder: Path = settings.state / "nodes" / (node or self.node)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.frozen = FreezeFlag(settings.state)

    def take_orders(self, doers: Mapping[str, Doer]) -> None:
        """From now on, of these kinds."""
        self.executor = Executor(self.folder / "effects.db", doers, SystemClock(), self.frozen)

    async def perform(self, raw: bytes) -> bytes:
        """Do a released effect, once; msgpack Outcome."""
        return msgspec.msgpack.encode(await self.execute(_order.decode(raw)))

    async def execute(self, order: Order) -> Outcome:
        return await self.executor.perform(order)

    async def greet(self, epoch: int, incarnation: int) -> bool:
        return self.executor.greet(epoch, incarnation)

    async def freeze(self, on: bool, by: str) -> None:
        self.frozen.set(on, by)

    def vitals(self) -> dict[str, Any]:
        return {**super().vitals(), "frozen": bool(self.frozen)}

    async def drain(self) -> None:
        await self.stop_tasks()
        self.executor.close()

    async def send_reports(self, listeners: Iterable[str], reports: Sequence[Mapping[str, object]]) -> None:
        """Send reports of nodes to these actors; one that is being restarted hears the next ones."""
        here = {"actor": actor_name(self.name), "ray_node": ray.get_runtime_context().get_node_id()}
        for listener in listeners:
            with contextlib.suppress(ValueError, ray.exceptions.RayError):
                actor = ray.get_actor(actor_name(listener), NAMESPACE)
                for report in reports:
                    actor.report.remote({**report, **here})
                    await asyncio.sleep(0)


class AgentService(NodeService):
    """`listeners`: the managers (and the gate) that want the reports."""

    def __init__(self, name: str, settings: Settings, roster: str, listeners: tuple[str, ...]) -> None:
        super().__init__(name, settings)
        self.roster = Roster(roster)
        self.listeners = listeners
        self.reports = 0

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
        await self._report()

    async def _report_loop(self) -> None:
        while True:
            await self._report()
            await asyncio.sleep(self.settings.telemetry.interval)

    async def _report(self) -> None:
        figures = self.probe.figures()
        extra: dict[str, Any] = {}
        for doer in dict.fromkeys(self.doers.values()):
            more = getattr(doer, "figures", None)
            if more is not None:
                extra.update(more())
        self.reports += 1
        await self.send_reports(self.listeners, [{"node": self.node, **figures, **extra}])
