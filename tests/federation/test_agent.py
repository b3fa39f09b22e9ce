"""Who acts for a node, in the moments in which it is made and is not there yet."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from federation.effects import Order
from federation.records import Outcome
from federation.runtime.agent import NodeService
from federation.settings import Settings

ORDER = Order("d1", "lab.furnace", "north", "cool", {}, "furnace.cool", 1, 1, 1 << 62)


class Cools:
    async def do(self, order: Order) -> Outcome:
        return Outcome("done", order.subject)

    async def probe(self, order: Order) -> Outcome:
        return Outcome("unknown")


@pytest.fixture
async def service(tmp_path: Path) -> NodeService:
    return NodeService("agent.1", Settings(state=tmp_path))


async def test_what_it_is_told_before_it_takes_orders_waits_for_that(service: NodeService) -> None:
    greeted = asyncio.create_task(service.greet(1, 1))
    performed = asyncio.create_task(service.perform(msgspec.msgpack.encode(ORDER)))
    await asyncio.sleep(0)
    assert not greeted.done()
    service.take_orders({"furnace.cool": Cools()})
    assert await greeted
    assert msgspec.msgpack.decode(await performed, type=Outcome) == Outcome("done", "north")
    await service.drain()


async def test_it_can_be_ended_before_it_takes_orders(service: NodeService) -> None:
    await service.drain()
