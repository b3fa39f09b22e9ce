"""A breaker leaves a failing engine alone, asks it again by one question, and is deaf to what comes late."""

from random import Random

import pytest

from federation.breaker import Breaker, Limits, State
from federation.clock import VirtualClock

LIMITS = Limits(failures=3, window=10, cool_down=2, longest=30, jitter=0.25)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def breaker(clock: VirtualClock) -> Breaker:
    return Breaker(clock, Random(1), LIMITS)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.failed(breaker.admit())


def test_it_opens_at_the_third_failure_within_the_window(breaker: Breaker) -> None:
    fail(breaker, 2)
    assert breaker.state is State.CLOSED
    fail(breaker, 1)
    assert breaker.state is State.OPEN
    assert not breaker.ready


def test_failures_far_apart_do_not_open_it(breaker: Breaker, clock: VirtualClock) -> None:
    for _ in range(10):
        fail(breaker, 1)
        clock.advance(6)
    assert breaker.state is State.CLOSED


def test_after_the_cool_down_exactly_one_question_probes(breaker: Breaker, clock: VirtualClock) -> None:
    fail(breaker, 3)
    clock.advance(1.9)
    assert not breaker.ready
    clock.advance(0.7)  # 2 s, and at most a quarter of it as jitter
    assert breaker.state is State.HALF_OPEN
    breaker.admit()
    assert not breaker.ready


def test_a_probe_that_is_answered_closes_it_and_forgets_the_failures(breaker: Breaker, clock: VirtualClock) -> None:
    fail(breaker, 3)
    clock.advance(3)
    breaker.succeeded(breaker.admit())
    assert breaker.state is State.CLOSED
    fail(breaker, 2)
    assert breaker.state is State.CLOSED


def test_each_probe_that_fails_doubles_the_cool_down_up_to_the_longest(breaker: Breaker, clock: VirtualClock) -> None:
    fail(breaker, 3)
    lengths = []
    for _ in range(7):
        waited = 0.0
        while not breaker.ready:
            clock.advance(0.1)
            waited += 0.1
        lengths.append(waited)
        fail(breaker, 1)
    for length, base in zip(lengths, (2, 4, 8, 16, 30, 30, 30), strict=True):
        assert base - 0.1 <= length <= base * 1.25 + 0.1


def test_two_breakers_do_not_probe_at_the_same_time(clock: VirtualClock) -> None:
    one, other = Breaker(clock, Random(1), LIMITS), Breaker(clock, Random(2), LIMITS)
    fail(one, 3)
    fail(other, 3)
    clock.advance(2)
    while not one.ready and not other.ready:
        clock.advance(0.001)
    assert one.ready != other.ready


def test_a_probe_that_was_abandoned_makes_way_for_another(breaker: Breaker, clock: VirtualClock) -> None:
    fail(breaker, 3)
    clock.advance(3)
    breaker.abandoned(breaker.admit())
    assert breaker.ready


@pytest.mark.parametrize("late", ["succeeded", "failed", "abandoned"])
def test_what_was_asked_before_it_opened_says_nothing_about_the_probe(
    breaker: Breaker, clock: VirtualClock, late: str
) -> None:
    ticket = breaker.admit()
    fail(breaker, 3)
    clock.advance(3)
    breaker.admit()
    getattr(breaker, late)(ticket)
    assert breaker.state is State.HALF_OPEN
    assert not breaker.ready


def test_with_no_number_of_failures_it_never_opens(clock: VirtualClock) -> None:
    breaker = Breaker(clock, Random(1), Limits(failures=0))
    fail(breaker, 100)
    assert breaker.state is State.CLOSED
