"""How long a training goes on."""

import pytest

from training.learning.preset import Course


@pytest.mark.parametrize(("count", "times"), [(6400, 3), (4096, 4), (640, 20), (1, 12800), (0, 12800)], ids=str)
def test_of_few_examples_each_is_seen_more_often(count: int, times: int) -> None:
    assert Course(passes=3, steps=200, batch=64, rate=1e-3).times(count) == times


def test_without_a_least_number_of_steps_it_is_the_passes() -> None:
    assert Course(passes=3, batch=64, rate=1e-3).times(10) == 3
