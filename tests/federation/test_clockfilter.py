"""The clock of another machine, by round trips that take their time."""

import random

import pytest

from federation.runtime.clockfilter import SAMPLES, ClockFilter, Offset


def exchange(clock: ClockFilter, sent: float, ahead: float, there: float, back: float) -> None:
    """A question that takes so long there, and its answer so long back."""
    clock.add(sent, sent + there + ahead, sent + there + back)


def test_of_some_round_trips_the_quickest_counts() -> None:
    clock = ClockFilter()
    for there, back in ((0.4, 0.0), (0.001, 0.001), (0.0, 0.9)):
        exchange(clock, 100.0, 3.0, there, back)
    assert clock.offset == pytest.approx(Offset(3.0, 0.001))


@pytest.mark.parametrize("seed", range(20))
def test_the_truth_is_never_further_off_than_it_says(seed: int) -> None:
    drawn = random.Random(seed)
    clock, ahead = ClockFilter(), drawn.uniform(-100, 100)
    for at in range(SAMPLES):
        exchange(clock, float(at), ahead, drawn.expovariate(10), drawn.expovariate(10))
        assert clock.offset is not None
        assert abs(clock.offset.ahead - ahead) <= clock.offset.within + 1e-9


def test_a_clock_that_was_set_is_told_once_the_old_samples_are_gone() -> None:
    clock = ClockFilter()
    exchange(clock, 0.0, 0.0, 0.001, 0.001)
    for at in range(SAMPLES):
        exchange(clock, float(at), 60.0, 0.01, 0.01)
    assert clock.offset == pytest.approx(Offset(60.0, 0.01))


def test_nothing_is_told_by_a_round_trip_that_ended_before_it_began() -> None:
    clock = ClockFilter()
    clock.add(100.0, 50.0, 40.0)
    assert clock.offset is None
