"""The nodes of `pressed` as node agents of a federation that really runs: one actor for all of them.

Some are named in questions, and only do what they are told; two take the work that others do not get, and report. The
machine itself has the agent that it always has.
"""

import asyncio
from random import Random
from typing import Any

from federation.effects import Order
from federation.ledger.store import Store
from federation.life import life_of
from federation.records import Outcome
from federation.runtime.agent import NodeService
from federation.settings import Settings
from training.demo_learning.pressed import Pressed, refuge

FULL, ROOMY = "haven-1", "haven-2"
CHANGE = 10.0  # seconds for which they stay as they are
KNOWN = 10.0  # seconds after which the gate is told again where the others are


def nodes(count: int) -> list[str]:
    """Those that are asked about."""
    return [f"node-{number:03}" for number in range(count)]


class NodesService(NodeService):
    """listeners: who wants the reports."""

    def __init__(self, settings: Settings, listeners: tuple[str, ...], seed: int, count: int) -> None:
        super().__init__("fleet", settings, "fleet")
        self.listeners = listeners
        self.world, self.random, self.nodes = Pressed(seed), Random(seed), nodes(count)
        self.done = 0

    async def start(self) -> None:
        self.store = Store.open(self.settings.ledger_url, read_only=True)
        self.take_orders({"node.cordon": self, "node.uncordon": self})
        for work in (self._known(), self._report()):
            self.spawn(work)

    async def change(self) -> None:
        """From now on the world is another."""
        self.world.change()

    async def health(self) -> dict[str, Any]:
        return {**self.vitals(), "effects": self.done}

    async def drain(self) -> None:
        await super().drain()
        self.store.close()

    async def do(self, order: Order) -> Outcome:
        """A node is closed, or opened again. What came of closing it is told by the world, for the question asked."""
        self.done += 1
        if order.action != "scale_out":
            return Outcome("done")
        life = life_of(await asyncio.to_thread(self.store.decision, order.decision))
        assert life is not None
        assert life.answered is not None
        assert life.answered.choice is not None
        reward = self.world.came(order.decision, life.asked, life.answered.choice)
        return Outcome("done", "new work goes elsewhere", reward=reward)

    async def probe(self, order: Order) -> Outcome:
        return Outcome("unknown", "interrupted")

    async def _known(self) -> None:
        """To the gate alone: of these nodes nobody measures anything but what the questions say."""
        while True:
            await self.reporter.send(("gate",), [{"node": node} for node in self.nodes])
            await asyncio.sleep(KNOWN)

    async def _report(self) -> None:
        loop = asyncio.get_running_loop()
        changed, reports = -CHANGE, list[dict[str, object]]()
        while True:
            if loop.time() - changed >= CHANGE:
                changed = loop.time()
                reports = [refuge(name, self.random, roomy=name == ROOMY) for name in (FULL, ROOMY)]
            await self.reporter.send(self.listeners, reports)
            await asyncio.sleep(self.settings.telemetry.interval)
