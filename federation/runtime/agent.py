"""The node agent: one on each node. It reports the node's figures and does what the gate has released, nothing else."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import msgspec
import ray

from federation.clock import SystemClock
from federation.effects import Doer, Executor, FreezeFlag, Order
from federation.runtime.roster import Roster, resolve
from federation.runtime.service import NAMESPACE, Service, actor_name
from federation.settings import Settings
from federation.telemetry import Probe

_order = msgspec.msgpack.Decoder(Order)


class AgentService(Service):
    """`listeners`: the managers (and the gate) that want the reports."""

    def __init__(self, name: str, settings: Settings, roster: str, listeners: tuple[str, ...]) -> None:
        super().__init__(name)
        self.settings = settings
        self.roster = Roster(roster)
        self.listeners = listeners
        self.reports = 0

    @property
    def folder(self) -> Path:
        return self.settings.state / "nodes" / self.node

    async def start(self) -> None:
        self.clock = SystemClock()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.frozen = FreezeFlag(self.settings.state)
        self.doers: dict[str, Doer] = {}
        for path in self.roster.doers.values():
            self.doers.update(resolve(path)(self))
        self.executor = Executor(self.folder / "effects.db", self.doers, self.clock, self.frozen)
        self.probe = Probe(self.folder)
        self.address = str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
        self.spawn(self._report_loop())

    async def perform(self, raw: bytes) -> bytes:
        """Do a released effect, once; msgpack Outcome."""
        return msgspec.msgpack.encode(await self.executor.perform(_order.decode(raw)))

    async def greet(self, epoch: int, incarnation: int) -> bool:
        return self.executor.greet(epoch, incarnation)

    async def freeze(self, on: bool, by: str) -> None:
        self.frozen.set(on, by)

    async def health(self) -> dict[str, Any]:
        return {**self.vitals(), "reports": self.reports, "frozen": bool(self.frozen)}

    async def drain(self) -> None:
        await self.stop_tasks()
        self.executor.close()

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
        report = {
            "node": self.node,
            "actor": actor_name(self.name),
            "ray_node": ray.get_runtime_context().get_node_id(),
            **figures,
            **extra,
        }
        self.reports += 1
        for listener in self.listeners:
            with contextlib.suppress(
                ValueError, ray.exceptions.RayError
            ):  # it is being restarted and will hear the next one
                ray.get_actor(actor_name(listener), NAMESPACE).report.remote(report)
