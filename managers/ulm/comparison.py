"""Compares two sets of measurements: by how much the second is greater, and how sure that is (Welch's t-test)."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Summary(NamedTuple):
    """Mean, variance and size of a sample; the size may be a share of what was measured."""

    mean: float
    variance: float
    size: float


class Comparison(NamedTuple):
    """slower: percent by which the current mean exceeds the baseline, None where that is 0. confidence: percent that it
    does, None with fewer than two values on a side. samples: of both."""

    slower: float | None
    confidence: float | None
    samples: int


def compare(baseline: Sequence[float], current: Sequence[float]) -> Comparison:
    """Both not empty, in the same unit."""
    before, after = summary(baseline), summary(current)
    slower = 100.0 * (after.mean / before.mean - 1.0) if before.mean else None
    sure = confidence(before, after) if min(len(baseline), len(current)) > 1 else None
    return Comparison(slower, sure, len(baseline) + len(current))


def summary(values: Sequence[float]) -> Summary:
    count = len(values)
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1) if count > 1 else 0.0
    return Summary(mean, variance, count)


def confidence(before: Summary, after: Summary) -> float:
    """Percent: that the mean behind `after` is greater than the one behind `before`. Sizes of 2 and more."""
    from scipy.special import stdtr  # noqa: PLC0415 - 25 MB, for the first finding

    parts = before.variance / before.size, after.variance / after.size
    error = sum(parts)
    difference = after.mean - before.mean
    if error == 0.0:
        return 50.0 if difference == 0.0 else 100.0 if difference > 0.0 else 0.0
    freedom = error * error / (parts[0] ** 2 / (before.size - 1) + parts[1] ** 2 / (after.size - 1))
    return 100.0 * float(stdtr(freedom, difference / math.sqrt(error)))
