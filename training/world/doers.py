"""What node agents do, done on a simulated world: between it and the executors of the federation."""

import asyncio
from collections.abc import Mapping
from typing import Any

from federation.clock import Clock
from federation.effects import Doer, Order
from federation.records import Outcome
from training.world.mail import NO_ANSWER, Mail
from training.world.world import EXECUTORS, World

FAILURES = {NO_ANSWER: "unreachable", 422: "rejected", 429: "throttled", 503: "server"}
RETRY_AFTER = 20.0  # seconds that a target asks for when it is asked too much


class Hands:
    """Starts, stops, cordons. A job that was started is awaited to its end, as a node agent awaits it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._running: dict[str, asyncio.Future[Outcome]] = {}

    async def do(self, order: Order) -> Outcome:
        outcome = self.world.perform(order)
        if outcome is not None:
            return outcome
        end: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._running[order.decision] = end
        return await end

    async def probe(self, order: Order) -> Outcome:
        end = self._running.get(order.decision)
        if end is None:
            return Outcome("unknown", "nobody saw what came of it")
        return await asyncio.shield(end)

    def settle(self) -> None:
        """Let those who await the end of a job know."""
        for decision, outcome in self.world.take_ended():
            end = self._running.pop(decision, None)
            if end is not None and not end.done():
                end.set_result(outcome)

    def doers(self) -> Mapping[str, Doer]:
        return dict.fromkeys(EXECUTORS, self)


class Letters:
    """Delivers messages without a network: what `Outbound` would say of the answer."""

    def __init__(self, mail: Mail, clock: Clock) -> None:
        self.mail, self.clock = mail, clock

    async def do(self, order: Order) -> Outcome:
        status = self.mail.receive(str(order.args["target"]), str(order.args["message"]))
        data: dict[str, Any] = {"at": self.clock.now()}
        if status == NO_ANSWER:
            return Outcome("failed", "no answer in time", {**data, "failure": "unreachable"}, reward=0.0)
        data["status"] = status
        if status < 300:
            return Outcome("done", "", data, reward=1.0)
        data["failure"] = FAILURES[status]
        if status == 429:
            data["retry_after"] = RETRY_AFTER
        return Outcome("failed", f"HTTP {status}", data, reward=0.0)

    async def probe(self, order: Order) -> Outcome:
        return Outcome("unknown", "interrupted; it may have arrived", {"at": self.clock.now(), "failure": "lost"})
