import math
from random import Random
from typing import Any

import pytest

from managers.ulm.inputs import WINDOW, Histogram, Inputs, bin_of, psi


def histogram(values: list[Any]) -> Histogram:
    made = Histogram()
    for value in values:
        made.add(value)
    return made


def normal(mean: float, count: int, seed: int = 1) -> list[float]:
    random = Random(seed)
    return [random.gauss(mean, 10) for _ in range(count)]


def test_the_index_is_the_published_one() -> None:
    first, now = ["a"] * 60 + ["b"] * 40, ["a"] * 40 + ["b"] * 60
    p, q = (40.5 / 101, 60.5 / 101)
    expected = (p - q) * math.log(p / q) + (q - p) * math.log(q / p)
    assert psi(histogram(first), histogram(now)) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_two_windows_of_the_same_world_are_alike(seed: int) -> None:
    found = psi(histogram(normal(60, WINDOW, seed)), histogram(normal(60, WINDOW, seed + 100)))
    assert found < 0.1


@pytest.mark.parametrize(
    ("first", "now"),
    [
        (normal(60, WINDOW), normal(70, WINDOW)),
        (["spot"] * 90 + ["owned"] * 10, ["spot"] * 50 + ["owned"] * 50),
        ([True] * 50 + [False] * 50, [True] * 95 + [False] * 5),
        ([3] * 100, [None] * 50 + [3] * 50),
        (["a"] * 100, ["never seen"] * 100),
        ([5, 7, 9] * 50, [-5, -7, -9] * 50),
    ],
    ids=["level", "names", "flags", "absent", "a new name", "sign"],
)
def test_what_moved_is_above_the_usual_limit(first: list[Any], now: list[Any]) -> None:
    assert psi(histogram(first), histogram(now)) > 0.25


def test_bins_are_in_the_order_of_the_values() -> None:
    values = [-1e30, -70.0, -1.0, -1e-9, 0.0, 1e-9, 0.5, 1.0, 1.2, 70, 80, 1e30]
    assert [bin_of(one) for one in values] == sorted({bin_of(one) for one in values})
    assert bin_of(1e-15) == bin_of(0.0)


def test_names_that_never_end_take_no_memory() -> None:
    made = histogram([f"node-{number}" for number in range(1000)])
    assert len(made.names) <= 51
    assert sum(made.names.values()) == 1000


def test_the_fact_that_moved_most_is_named_once_a_window_is_full() -> None:
    inputs, random = Inputs(), Random(1)

    def live(count: int, memory: float) -> None:
        for _ in range(count):
            inputs.add({"memory": random.gauss(memory, 5), "gpu": random.gauss(50, 5), "labels": ["a"]})

    live(2 * WINDOW - 1, 50)
    assert inputs.shift is None
    live(1, 50)
    assert inputs.shift is not None
    assert inputs.shift < 0.1
    live(WINDOW, 70)
    assert (inputs.moved, inputs.shift > 0.25) == ("memory", True)
