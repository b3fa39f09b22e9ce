"""Many nodes in one process, which report as node agents do."""

import asyncio
import time
from random import Random
from typing import Any

from federation.records import Outcome
from federation.runtime.agent import NodeService
from federation.settings import Settings

GPUS = 8
GB = 10**9
_HEARD = 1000  # reports on their way at most: a receiver that is slower than that is the end of the measurement


class SimulatedNodes(NodeService):
    """listeners: who wants the reports."""

    def __init__(self, settings: Settings, listeners: tuple[str, ...]) -> None:
        super().__init__("simulated", settings, "simulated")
        self.listeners = listeners
        self.nodes: list[_Node] = []
        self.sent = 0
        self._heard = asyncio.Semaphore(_HEARD)

    async def start(self) -> None:
        self.take_orders({"node.cordon": self, "node.uncordon": self})

    async def grow(self, count: int, together: int) -> None:
        """So many nodes from now on; they begin within one interval, evenly. together: so many in one call."""
        interval = self.settings.telemetry.interval
        new = [_Node(f"node-{number:05}", Random(number)) for number in range(len(self.nodes), count)]
        self.nodes += new
        for first in range(0, len(new), together):
            self.spawn(self._live(new[first : first + together], interval * first / len(new), interval))

    async def reports(self) -> int:
        """That were sent and taken so far."""
        return self.sent

    async def do(self, order: Any) -> Outcome:
        return Outcome("done")

    async def probe(self, order: Any) -> Outcome:
        return Outcome("unknown", "interrupted")

    async def _live(self, nodes: "list[_Node]", delay: float, interval: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + delay
        while True:
            await asyncio.sleep(due - loop.time())
            async with self._heard:
                await self.reporter.send(self.listeners, [node.report() for node in nodes])
            self.sent += len(nodes)
            due += interval


class _Node:
    """A machine of 128 cores, 1 TB and 8 GPUs whose load wanders."""

    def __init__(self, name: str, random: Random) -> None:
        self.name, self._random = name, random
        self._load = random.uniform(20, 60)

    def report(self) -> dict[str, object]:
        """With every figure that a `Probe` tells."""
        self._load = min(70.0, max(10.0, self._load + self._random.uniform(-2, 2)))
        busy, load = self._load, self._load / 100
        gpus = [
            {
                "name": "NVIDIA H200",
                "uuid": f"GPU-{self.name}-{i}",
                "memory_total": 141 * GB,
                "memory_free": round(141 * GB * (1 - load)),
                "busy": busy,
            }
            for i in range(GPUS)
        ]
        return {
            "node": self.name,
            "labels": ["inference"],
            "leaving": False,
            "left": False,
            "cpu": busy,
            "cpus": 128,
            "load": 128 * load,
            "memory": busy,
            "memory_total": 1000 * GB,
            "memory_free": round(1000 * GB * (1 - load)),
            "disk": 40.0,
            "disk_total": 4000 * GB,
            "disk_free": 2400 * GB,
            "gpus": gpus,
            "gpu": busy,
            "boot": 1.0e9,
            "measured": time.time(),
            "jobs": [],
            "processes": [],
        }
