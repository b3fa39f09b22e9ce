"""A chain answers as long as one of its engines does, in the time that it was given, and says which one it was."""

import asyncio
from collections.abc import Sequence
from random import Random

import pytest

from federation.breaker import Limits, State
from federation.clock import VirtualClock
from federation.errors import Refused, Temporary
from federation.policy.chain import Chain
from federation.policy.question import Prompt, Rejected, Scores

PROMPTS = [Prompt("?", 2)]
LIMITS = Limits(failures=2, window=60, cool_down=5, longest=5, jitter=0)


class Scripted:
    """Does the next thing of its script, and the last one for ever: raises it, hangs, or answers."""

    def __init__(self, version: str, *script: Exception | str) -> None:
        self.version = version
        self.script = list(script)
        self.given: list[float] = []
        self.closed = False

    async def score(self, prompts: Sequence[Prompt], deadline: float) -> list[Scores]:
        self.given.append(deadline)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        if step == "hangs":
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        return [(-0.5, -0.9)] * len(prompts)

    async def close(self) -> None:
        self.closed = True


def chain(clock: VirtualClock, *replicas: Scripted, last: Scripted | None = None) -> Chain:
    named = {one.version: one for one in replicas}
    return Chain(named, ("embedded", last) if last else None, clock, Random(1), LIMITS)


AWAY = Temporary("away")


async def test_the_next_engine_answers_where_one_fails_and_its_version_is_told() -> None:
    both = chain(VirtualClock(), Scripted("a", AWAY), last=Scripted("e", "answers"))
    answer = await both.answer(PROMPTS, 1)
    assert (answer.policy, answer.engine) == ("e", "embedded")
    assert both.counts.failed == {"a": 1}
    assert both.counts.failed_over["embedded"] == 1
    assert both.counts.lost == 0


@pytest.mark.parametrize("failure", [AWAY, Refused("vllm-labels", "other labels"), Rejected("too long")])
async def test_whatever_a_replica_says_instead_of_an_answer_costs_no_decision(failure: Exception) -> None:
    both = chain(VirtualClock(), Scripted("a", failure), last=Scripted("e", "answers"))
    for _ in range(5):
        assert await both.score(PROMPTS, 1) == [(-0.5, -0.9)]


async def test_a_replica_that_hangs_leaves_time_for_each_of_the_others() -> None:
    hangs, answers = Scripted("a", "hangs"), Scripted("e", "answers")
    assert (await chain(VirtualClock(), hangs, last=answers).answer(PROMPTS, 2)).policy == "e"
    assert hangs.given == [pytest.approx(1, rel=0.1)]
    assert answers.given[0] > 0


async def test_one_that_fails_at_once_leaves_nearly_all_the_time() -> None:
    last = Scripted("e", "answers")
    await chain(VirtualClock(), Scripted("a", AWAY), Scripted("b", AWAY), last=last).answer(PROMPTS, 600)
    assert last.given == [pytest.approx(600, rel=0.05)]


async def test_an_open_breaker_is_passed_over_and_closes_by_one_probe() -> None:
    clock = VirtualClock()
    replica = Scripted("a", AWAY, AWAY, "answers")
    both = chain(clock, replica, last=Scripted("e", "answers"))
    for _ in range(10):
        await both.answer(PROMPTS, 1)
    assert len(replica.given) == 2
    assert both.standing()[0].state is State.OPEN
    assert both.standing()[0].problem == "away"
    clock.advance(5)
    assert (await both.answer(PROMPTS, 1)).policy == "a"
    assert both.standing()[0].state is State.CLOSED


async def test_a_replica_that_came_back_is_probed_while_another_answers() -> None:
    clock = VirtualClock()
    back = Scripted("a", AWAY, AWAY, "answers")
    both = chain(clock, back, Scripted("b", "answers"))
    while both.standing()[0].state is State.CLOSED:
        await both.answer(PROMPTS, 1)
    clock.advance(5)
    assert (await both.answer(PROMPTS, 1)).policy == "a"


async def test_prompts_that_a_replica_does_not_take_do_not_open_its_breaker() -> None:
    both = chain(VirtualClock(), Scripted("a", Rejected("too long")), last=Scripted("e", "answers"))
    for _ in range(10):
        await both.answer(PROMPTS, 1)
    assert both.standing()[0].state is State.CLOSED


async def test_the_least_busy_replica_is_asked() -> None:
    one, other = Scripted("a", "hangs"), Scripted("b", "answers")
    both = chain(VirtualClock(), one, other)
    async with asyncio.TaskGroup() as group:
        hanging = group.create_task(both.answer(PROMPTS, 60))
        await asyncio.sleep(0)
        for _ in range(5):
            assert (await both.answer(PROMPTS, 60)).policy == "b"
        assert len(one.given) == 1
        hanging.cancel()


async def test_load_is_spread_evenly_over_healthy_replicas() -> None:
    both = chain(VirtualClock(), Scripted("a", "answers"), Scripted("b", "answers"))
    await asyncio.gather(*(both.answer(PROMPTS, 60) for _ in range(100)))
    assert both.counts.answered == {"a": 50, "b": 50}


async def test_where_nobody_answers_it_says_what_each_one_said() -> None:
    both = chain(VirtualClock(), Scripted("a", AWAY), Scripted("b", Temporary("burning")))
    with pytest.raises(Temporary, match=r"a: away; b: burning|b: burning; a: away"):
        await both.answer(PROMPTS, 1)
    assert both.counts.lost == 1


async def test_whoever_goes_away_while_it_probes_leaves_the_probe_to_another() -> None:
    clock = VirtualClock()
    replica = Scripted("a", AWAY, AWAY, "hangs", "answers")
    only = chain(clock, replica)
    for _ in range(2):
        with pytest.raises(Temporary):
            await only.answer(PROMPTS, 1)
    clock.advance(5)
    probe = asyncio.ensure_future(only.answer(PROMPTS, 60))
    await asyncio.sleep(0)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert (await only.answer(PROMPTS, 1)).policy == "a"


async def test_a_fault_of_ours_is_not_hidden_by_failing_over() -> None:
    both = chain(VirtualClock(), Scripted("a", ZeroDivisionError("bug")), last=Scripted("e", "answers"))
    with pytest.raises(ZeroDivisionError):
        await both.answer(PROMPTS, 1)


async def test_closing_it_closes_all() -> None:
    engines = [Scripted("a", "answers"), Scripted("b", "answers"), Scripted("e", "answers")]
    await chain(VirtualClock(), *engines[:2], last=engines[2]).close()
    assert all(one.closed for one in engines)
