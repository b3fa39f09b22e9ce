import random
from collections.abc import Iterator

import pytest

from managers.ulm.detectors import WARM, Anomaly, Move, Shift, confidence_of
from managers.ulm.series import ALARM, RESOLUTION


def noise(count: int, seed: int, *, level: float = 40.0, spread: float = 4.0, memory: float = 0.0) -> Iterator[float]:
    """Gaussian noise around a level; `memory` is the correlation of neighbours."""
    source, state = random.Random(seed), 0.0
    for _ in range(count):
        state = memory * state + (1 - memory**2) ** 0.5 * source.gauss(0.0, spread)
        yield level + state


def moves(values: Iterator[float]) -> list[tuple[int, Move]]:
    shift = Shift()
    return [(number, move) for number, value in enumerate(values) if (move := shift.update(value)) is not None]


@pytest.mark.parametrize("seed", range(5))
def test_a_level_that_doubles_is_found_within_twenty_values(seed: int) -> None:
    before, after = noise(300, seed), noise(60, seed + 100, level=80.0)
    (number, move), *_ = moves(v for part in (before, after) for v in part)
    assert 310 <= number <= 320
    assert move.before == pytest.approx(40.0, abs=2)
    assert move.after == pytest.approx(80.0, abs=5)
    assert move.magnitude == pytest.approx(100.0, abs=15)
    assert move.confidence > 95
    assert abs(number + 1 - move.lasting - 300) <= 2


@pytest.mark.parametrize(("memory", "most"), [(0.0, 0), (0.5, 0), (0.8, 5)])
def test_noise_hardly_ever_makes_a_move_that_would_be_suggested(memory: float, most: int) -> None:
    """In 10,000 values, a week of minutes."""
    found = [move for seed in range(5) for _, move in moves(noise(2000, seed, memory=memory))]
    assert len([m for m in found if m.confidence >= 80 and (m.magnitude or 0) >= 20]) <= most


def test_a_level_that_rises_from_nothing_has_no_percentage() -> None:
    values = [0.0] * 200 + [30.0] * 60
    (_, move), *_ = moves(iter(values))
    assert (move.magnitude, move.confidence) == (None, 100.0)


def test_a_constant_series_never_moves() -> None:
    assert moves(iter([50.0] * 1000)) == []


def test_figures_of_bytes_keep_their_precision() -> None:
    values = [16e9 + v for part in (noise(300, 1, spread=1e6), noise(60, 2, level=9e7, spread=1e6)) for v in part]
    (_, move), *_ = moves(iter(values))
    assert move.after - move.before == pytest.approx(9e7, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_one_far_value_in_noise_is_scored_once(seed: int) -> None:
    anomaly = Anomaly(resolution=RESOLUTION)
    values = [*noise(500, seed), 99.0, 98.0, *noise(100, seed + 1)]
    found = [number for number, value in enumerate(values) if anomaly.update(value) >= ALARM]
    assert 500 in found
    assert 501 not in found


def test_noise_raises_less_than_one_alarm_in_five_thousand_values() -> None:
    alarms = 0
    for seed in range(10):
        anomaly = Anomaly(resolution=RESOLUTION)
        alarms += sum(anomaly.update(value) >= ALARM for value in noise(5000, seed))
    assert alarms < 10


def test_nothing_is_scored_before_the_series_is_warm() -> None:
    anomaly = Anomaly()
    assert [anomaly.update(value) for value in (*([1.0] * (WARM - 1)), 1000.0)] == [0.0] * WARM


def test_a_difference_below_the_resolution_is_no_news() -> None:
    anomaly = Anomaly(resolution=RESOLUTION)
    scores = [anomaly.update(value) for value in [*([30.0] * 200), 30.4, *([30.0] * 200), 31.0]]
    assert max(scores) < ALARM


def test_a_window_forgets_what_is_older() -> None:
    anomaly = Anomaly(window=100, quiet=10)
    values = [*noise(300, 1, level=80.0), *noise(300, 2), *noise(1, 3, level=80.0)]
    scores = [anomaly.update(value) for value in values]
    assert scores[-1] >= ALARM
    assert anomaly.samples == 100


def test_the_alarm_is_worth_more_than_the_shipped_limit() -> None:
    assert confidence_of(0.0) == 0.0
    assert confidence_of(ALARM) > 80.0
