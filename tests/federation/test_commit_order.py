"""Batches of a manager come to the appender in the order of their numbers, whichever way they take."""

import asyncio
from typing import Any, cast

import msgspec

from federation.desk import Desk
from federation.ledger.appender import Batch
from federation.runtime.manager import ManagerService


class NothingDue:
    def wake(self) -> None:
        return None


class Away(ManagerService):
    """A manager whose appender is called through Ray, which begins what was called on an async actor in any order."""

    def __init__(self) -> None:
        self.name, self.incarnation = "urm", 1
        self.desk = cast("Desk", NothingDue())
        self._line, self._through_ray, self._following = None, asyncio.Lock(), asyncio.Event()
        self._batch_number = self._own = self._commits = 0
        self.begun: list[int] = []
        self._under_way = 0

    async def _appender(self, method: str, *args: Any, patience: float = 0.0) -> Any:
        self._under_way += 1
        await asyncio.sleep(0.01 / self._under_way)  # who comes later is begun earlier
        self.begun.append(msgspec.msgpack.decode(args[0], type=Batch).number)
        self._under_way -= 1
        return 0, 0, 0


async def test_two_batches_under_way_do_not_overtake_one_another() -> None:
    manager = Away()
    await asyncio.gather(*(manager.commit([]) for _ in range(4)))
    assert manager.begun == [0, 1, 2, 3]
