"""How sure a figure is."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

LEVEL = 0.95
LEAST_UNITS = 20
"""Units on each side below which a difference is not told."""


class Interval(msgspec.Struct, frozen=True):
    """A value and the ends of its interval; without ends nothing was estimated, it was counted."""

    value: float
    low: float | None = None
    high: float | None = None

    def times(self, other: "Interval") -> "Interval":
        """Of two that are not negative. Intervals at the level 1 - a each hold together at 1 - 2a (Bonferroni)."""
        return Interval(self.value * other.value, self.lower * other.lower, self.upper * other.upper)

    def plus(self, other: "Interval") -> "Interval":
        return Interval(self.value + other.value, self.lower + other.lower, self.upper + other.upper)

    def scaled(self, factor: float) -> "Interval":
        """By a factor that is taken for known; a negative one turns it round."""
        ends = [self.lower * factor, self.upper * factor]
        return Interval(self.value * factor, min(ends), max(ends))

    @property
    def lower(self) -> float:
        return self.value if self.low is None else self.low

    @property
    def upper(self) -> float:
        return self.value if self.high is None else self.high


class Sums(NamedTuple):
    """Of one unit: what was observed, and how often."""

    total: float
    times: int

    def plus(self, value: float) -> "Sums":
        return Sums(self.total + value, self.times + 1)


def share(hits: int, of: int, level: float = LEVEL) -> Interval:
    """Exact for a binomial (Clopper and Pearson 1934); of none it may be anything."""
    if not of:
        return Interval(0.0, 0.0, 1.0)
    from scipy.special import betaincinv  # noqa: PLC0415 - 25 MB, for whoever asks for a report

    tail = (1 - level) / 2
    low = float(betaincinv(hits, of - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, of - hits, 1 - tail)) if hits < of else 1.0
    return Interval(hits / of, low, high)


def mean(values: Sequence[float], level: float = LEVEL) -> Interval:
    """By Student's t; at least two values, and means of amounts of money want some dozens."""
    count = len(values)
    value = math.fsum(values) / count
    deviation = math.sqrt(math.fsum((one - value) ** 2 for one in values) / (count - 1) / count)
    wide = _student(count - 1, level) * deviation
    return Interval(value, value - wide, value + wide)


def median(values: Sequence[float], level: float = LEVEL) -> Interval | None:
    """Between two values of the sample, whatever the distribution (order statistics; David and Nagaraja 2003, section
    7.1); None: too few for it."""
    from scipy.special import bdtr  # noqa: PLC0415 - as above

    ordered, count = sorted(values), len(values)
    outer = next((k for k in range(count // 2) if bdtr(k, count, 0.5) > (1 - level) / 2), None)
    if not outer:  # 0: not even the smallest and the largest are far enough apart
        return None
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    return Interval(middle, ordered[outer - 1], ordered[count - outer])


def difference(before: Mapping[str, Sums], after: Mapping[str, Sums]) -> Interval | None:
    """Of the mean per observation, after less before; None: fewer than LEAST_UNITS on a side. Observations of a unit
    are alike, so units are what is counted: ratios of sums with the variance of the residuals of units, and Welch's
    degrees of freedom (Cochran, Sampling Techniques, 3rd edition, 1977, section 6.3)."""
    if min(len(before), len(after)) < LEAST_UNITS:
        return None
    (first, noise), (second, other) = _ratio(before), _ratio(after)
    together = noise + other
    value = second - first
    if not together:
        return Interval(value, value, value)
    freedom = together**2 / (noise**2 / (len(before) - 1) + other**2 / (len(after) - 1))
    wide = _student(freedom, LEVEL) * math.sqrt(together)
    return Interval(value, value - wide, value + wide)


def overall(units: Mapping[str, Sums]) -> float | None:
    """The mean per observation; None without one."""
    count = sum(one.times for one in units.values())
    return math.fsum(one.total for one in units.values()) / count if count else None


def _ratio(units: Mapping[str, Sums]) -> tuple[float, float]:
    """The mean per observation, and its variance."""
    count = sum(one.times for one in units.values())
    value = math.fsum(one.total for one in units.values()) / count
    squares = math.fsum((one.total - value * one.times) ** 2 for one in units.values())
    return value, squares * len(units) / (len(units) - 1) / count**2


def _student(freedom: float, level: float) -> float:
    from scipy.special import stdtrit  # noqa: PLC0415 - as above

    return float(stdtrit(freedom, (1 + level) / 2))
