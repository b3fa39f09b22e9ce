"""ADWIN, held to the alarms of river's, window for window."""

from random import Random
from typing import Any

import pytest
from river.drift import ADWIN

from managers.ulm.adwin import Adwin

DELTA, EVERY, GRACE = 0.002, 4, 30


def stream(seed: int, count: int = 3000) -> list[float]:
    """Levels that jump, under noise of more than one size, with values far off."""
    random = Random(seed)
    level, noises, values = 0.0, random.choice([(1.0,), (0.1, 1.0, 3.0)]), []
    for _ in range(count):
        level = random.uniform(-5, 5) if random.random() < 0.002 else level
        far = 10.0 if random.random() < 0.01 else 0.0
        values.append(level + random.gauss(0.0, random.choice(noises)) + far)
    return values


@pytest.mark.parametrize("seed", range(8))
def test_it_raises_the_alarms_that_river_raises(seed: int) -> None:
    """River begins anew after each alarm."""
    theirs: Any = ADWIN(delta=DELTA, clock=EVERY, grace_period=GRACE)  # type: ignore[no-untyped-call]
    ours, alarms = Adwin(DELTA, EVERY, GRACE), 0
    for number, value in enumerate(stream(seed)):
        theirs.update(value)
        alarm = ours.update(value)
        assert alarm == theirs.drift_detected, number
        if alarm:
            ours, alarms = Adwin(DELTA, EVERY, GRACE), alarms + 1
        else:
            assert ours.width == theirs.width
    assert alarms


def test_after_an_alarm_the_window_holds_what_came_since_the_change() -> None:
    random = Random(1)
    adwin = Adwin(DELTA, EVERY, GRACE)
    for _ in range(500):
        adwin.update(random.gauss(0.0, 1.0))
    assert adwin.width == 500
    alarms = [number for number in range(200) if adwin.update(random.gauss(5.0, 1.0))]
    assert alarms[0] < 20
    assert adwin.width <= 210


def test_a_stream_that_stays_as_it_is_raises_no_alarm() -> None:
    random = Random(2)
    adwin = Adwin(DELTA, EVERY, GRACE)
    assert not any(adwin.update(random.gauss(3.0, 2.0)) for _ in range(5000))


def test_constant_values_raise_no_alarm() -> None:
    adwin = Adwin(DELTA, EVERY, GRACE)
    assert not any(adwin.update(0.1) for _ in range(2000))
