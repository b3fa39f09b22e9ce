import asyncio
from typing import Any

import msgspec
import pytest

from federation.errors import Bug
from federation.records import Event
from federation.replies import Rejected, Reply
from managers.roster import POINTS
from managers.uim.api.lanes import FLIGHTS, Lane, Lanes, Result


class SlowManager:
    """Answers when told to."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.go = asyncio.Event()

    async def call(self, child: str, method: str, *args: Any, patience: float = 10.0) -> Any:
        events = msgspec.msgpack.decode(args[0], type=list[Event])
        self.calls.append([e.id for e in events])
        await self.go.wait()
        if any(e.id == "poison" for e in events):
            raise Bug("it fell")
        return msgspec.msgpack.encode([[Reply(e.id, "p.p", "", "answered")] for e in events])


def _event(id: str) -> Event:
    return Event(id, "tests", "t")


def _ids(results: list[Result]) -> list[str]:
    return [str(r.status) if isinstance(r, Rejected) else r[0].id for r in results]


async def test_events_that_come_during_a_call_travel_together_with_the_next() -> None:
    manager = SlowManager()
    lane = Lane(manager, "demo")
    asked = [asyncio.ensure_future(lane.decide([_event(str(i))])) for i in range(10)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    manager.go.set()
    answers = await asyncio.gather(*asked)
    assert [len(call) for call in manager.calls] == [1] * FLIGHTS + [10 - FLIGHTS]
    assert [_ids(answer) for answer in answers] == [[str(i)] for i in range(10)]


async def test_an_event_that_breaks_its_manager_is_found_and_the_rest_is_answered() -> None:
    manager = SlowManager()
    manager.go.set()
    results = await Lane(manager, "demo").decide([_event(i) for i in ("a", "b", "poison", "c", "d")])
    assert _ids(results) == ["a", "b", "500", "c", "d"]


@pytest.mark.parametrize("source", ["elias", "elias/ufm", "elias/ufm/ada", "elias/peer/west"])
async def test_nobody_may_speak_in_the_name_of_a_part_of_elias(source: str) -> None:
    lanes = Lanes(SlowManager(), POINTS)
    (result,) = await lanes.decide([Event("1", source, POINTS[0].name)])
    assert isinstance(result, Rejected)
    assert (result.status, result.code) == (422, "reserved-source")
