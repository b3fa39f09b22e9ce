"""The executor on a node: once, in time, from the one in charge, and never while frozen."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from federation.clock import SECOND, VirtualClock
from federation.effects import Executor, FreezeFlag, Order
from federation.records import Outcome
from tests.federation.lab import Recorder

Make = Callable[..., Executor]


class Breaks:
    async def do(self, order: Order) -> Outcome:
        raise OSError("the valve is stuck")

    async def probe(self, order: Order) -> Outcome:
        return Outcome("done", "it had worked after all")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def make(tmp_path: Path, clock: VirtualClock, recorder: Recorder) -> Iterator[Make]:
    made: list[Executor] = []

    def build(doers: dict[str, Any] | None = None) -> Executor:
        executor = Executor(tmp_path / "effects.db", doers or {"cool": recorder}, clock, FreezeFlag(tmp_path))
        made.append(executor)
        return executor

    yield build
    for executor in made:
        executor.close()


def order(clock: VirtualClock, decision: str = "d1", epoch: int = 1, incarnation: int = 1, **more: Any) -> Order:
    made = Order(decision, "lab.furnace", "f1", "cool", {}, "cool", epoch, incarnation, clock.now() + 30 * SECOND)
    return msgspec.structs.replace(made, **more)


async def test_an_order_is_done_once_however_often_it_comes(
    make: Make, clock: VirtualClock, recorder: Recorder
) -> None:
    executor = make()
    outcomes = [await executor.perform(order(clock)) for _ in range(3)]
    assert [o.status for o in outcomes] == ["done", "done", "done"]
    assert len(recorder.done) == 1


async def test_ids_are_remembered_across_a_restart_of_the_executor(
    make: Make, clock: VirtualClock, recorder: Recorder
) -> None:
    await make().perform(order(clock))
    assert (await make().perform(order(clock))).status == "done"
    assert len(recorder.done) == 1


async def test_what_was_released_before_the_memory_begins_is_looked_up_and_not_done(
    make: Make, clock: VirtualClock, recorder: Recorder
) -> None:
    executor = make()
    executor.greet(3, 1)
    before = order(clock, "before", epoch=4, released=2)
    assert (await executor.perform(before)).status == (await recorder.probe(before)).status
    assert recorder.done == []
    assert (await executor.perform(order(clock, "since", epoch=4, released=3))).status == "done"
    assert (await make().perform(order(clock, "later", epoch=4))).status == "done"
    assert [one.decision for one in recorder.done] == ["since", "later"]


async def test_an_expired_order_is_not_done(make: Make, clock: VirtualClock, recorder: Recorder) -> None:
    late = order(clock)
    clock.advance(30)
    assert (await make().perform(late)).status == "expired"
    assert recorder.done == []


@pytest.mark.parametrize("newer", [(2, 1), (1, 2)])
async def test_an_order_of_somebody_no_longer_in_charge_is_refused_even_after_a_restart(
    make: Make, clock: VirtualClock, recorder: Recorder, newer: tuple[int, int]
) -> None:
    assert make().greet(*newer)
    outcome = await make().perform(order(clock, epoch=1, incarnation=1))
    assert outcome.status == "refused"
    assert "no longer in charge" in outcome.detail
    assert recorder.done == []


async def test_a_frozen_node_does_nothing_until_it_is_released(
    make: Make, clock: VirtualClock, recorder: Recorder, tmp_path: Path
) -> None:
    FreezeFlag(tmp_path).set(True, "ada")
    executor = make()
    assert (await executor.perform(order(clock, "d1"))).status == "refused"
    FreezeFlag(tmp_path).set(False)
    assert (await executor.perform(order(clock, "d2"))).status == "done"


async def test_an_interrupted_order_is_probed_and_never_done_again(
    make: Make, clock: VirtualClock, recorder: Recorder, tmp_path: Path
) -> None:
    executor = make()
    wish = order(clock)
    executor._db.execute("INSERT INTO effects (id, wish) VALUES (?, ?)", ("d1", msgspec.json.encode(wish)))
    outcome = await make().perform(wish)
    assert (outcome.status, outcome.detail) == ("unknown", "interrupted")
    assert recorder.done == []


async def test_a_probe_that_finds_out_settles_it(make: Make, clock: VirtualClock) -> None:
    executor = make({"cool": Breaks()})
    executor._db.execute("INSERT INTO effects (id, wish) VALUES (?, ?)", ("d1", msgspec.json.encode(order(clock))))
    assert (await executor.probe("d1")).status == "done"


async def test_an_error_while_doing_is_a_failed_outcome_with_its_words(make: Make, clock: VirtualClock) -> None:
    outcome = await make({"cool": Breaks()}).perform(order(clock))
    assert (outcome.status, outcome.detail) == ("failed", "OSError: the valve is stuck")


async def test_an_executor_that_this_node_does_not_have_is_refused(make: Make, clock: VirtualClock) -> None:
    assert (await make().perform(order(clock, executor="teleport"))).status == "refused"


async def test_a_node_that_never_saw_an_effect_says_so(make: Make) -> None:
    assert (await make().probe("nothing")).status == "unknown"
