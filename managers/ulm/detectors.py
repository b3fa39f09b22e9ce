"""Streaming detectors of one series: values that are far from all before, and levels that have moved.

Each sees one value at a time and keeps a bounded memory. Values are evenly spaced; spacing and units are the caller's.
"""

import math
from array import array
from bisect import bisect_left, insort
from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from managers.ulm.adwin import Adwin
from managers.ulm.comparison import Summary, confidence

Floats = npt.NDArray[np.float64]

WARM = 30  # values before anything is said
SIDE = 10  # values on each side of a split, at least


class Novelty:
    """How far a value is from its nearest neighbours among the last `window`, in standard deviations of what that
    usually is.

    The k-nearest-neighbour distance (Ramaswamy et al., SIGMOD 2000); in one dimension a sorted list finds them at once.
    `resolution`: differences of less are no news, in the unit of the values.
    """

    def __init__(self, window: int, neighbours: int, resolution: float) -> None:
        self.window, self.neighbours, self.resolution = window, neighbours, resolution
        self._recent = array("d")  # a ring once it is full; `_oldest` is its next place
        self._sorted = array("d")
        self._oldest = 0
        self._count = 0
        self._mean = self._variance = 0.0

    def __len__(self) -> int:
        return len(self._recent)

    def update(self, value: float) -> float:
        score = 0.0
        if len(self._recent) >= WARM:
            distance = self._distance(value)
            deviation = max(math.sqrt(self._variance), self.resolution)
            score = max(0.0, (distance - self._mean) / deviation) if deviation > 0 else 0.0
            self._learn(distance)
        self._keep(value)
        return score

    def _keep(self, value: float) -> None:
        if len(self._recent) < self.window:
            self._recent.append(value)
        else:
            del self._sorted[bisect_left(self._sorted, self._recent[self._oldest])]
            self._recent[self._oldest] = value
            self._oldest = (self._oldest + 1) % self.window
        insort(self._sorted, value)

    def _distance(self, value: float) -> float:
        """Root mean square distance to the nearest neighbours."""
        known, below = self._sorted, bisect_left(self._sorted, value) - 1
        above, total = below + 1, 0.0
        for _ in range(self.neighbours):
            down = value - known[below] if below >= 0 else math.inf
            up = known[above] - value if above < len(known) else math.inf
            if down <= up:
                total, below = total + down * down, below - 1
            else:
                total, above = total + up * up, above + 1
        return math.sqrt(total / self.neighbours)

    def _learn(self, distance: float) -> None:
        self._count += 1
        weight = max(1.0 / self._count, 1.0 / self.window)
        error = distance - self._mean
        self._mean += weight * error
        self._variance = (1.0 - weight) * (self._variance + weight * error * error)


class Anomaly:
    """Scores each value: the novelty of the value itself or of the mean of the last `smooth`, whichever is greater.

    A score counts once: 0 unless it is the highest of the last `quiet` values. It keeps 32 bytes a value of the
    window.
    """

    def __init__(
        self, window: int = 5000, neighbours: int = 3, smooth: int = 30, quiet: int = 100, resolution: float = 0.0
    ) -> None:
        self.quiet = quiet
        self._value = Novelty(window, neighbours, resolution)
        self._mean = Novelty(window, neighbours, resolution)
        self._last: deque[float] = deque(maxlen=smooth)
        self._number = 0
        self._peaks: deque[tuple[int, float]] = deque()  # falling scores of the last `quiet` values, with their numbers

    @property
    def samples(self) -> int:
        return len(self._value)

    def update(self, value: float) -> float:
        """The score of this value, 0 or more; `confidence_of` says what it is worth."""
        self._last.append(value)
        score = max(self._value.update(value), self._mean.update(math.fsum(self._last) / len(self._last)))
        return self._first(score)

    def _first(self, score: float) -> float:
        self._number += 1
        peaks = self._peaks
        while peaks and peaks[0][0] <= self._number - self.quiet:
            peaks.popleft()
        highest = not peaks or score > peaks[0][1]
        while peaks and peaks[-1][1] <= score:
            peaks.pop()
        peaks.append((self._number, score))
        return score if highest else 0.0


def confidence_of(score: float) -> float:
    """Percent of values that are within `score` deviations, at least and whatever their distribution (Cantelli)."""
    return 100.0 * (1.0 - 1.0 / (1.0 + score * score))


class Move(NamedTuple):
    """A level that moved. magnitude: percent of the level before, either way, None where that was 0. confidence:
    percent. lasting: values since the move. samples: values looked at."""

    before: float
    after: float
    magnitude: float | None
    confidence: float
    lasting: int
    samples: int


class Shift:
    """Finds when the level of a series has moved and stays there.

    ADWIN raises the alarm, and begins anew after each. `SIDE` values later, where the level moved is the split
    of the last `window` values that leaves the least variance, and what was before it is forgotten. ADWIN takes values
    to be independent, and figures of machines are not: the confidence counts only as many values as their
    autocorrelation leaves, and pays for the choice of the split.
    """

    def __init__(self, window: int = 512, delta: float = 0.002) -> None:
        self._recent: deque[float] = deque(maxlen=window)
        self._delta = delta
        self._adwin = self._begun()
        self._wait = 0

    def _begun(self) -> Adwin:
        return Adwin(self._delta, every=4, grace=WARM)

    def update(self, value: float) -> Move | None:
        self._recent.append(value)
        alarm = self._adwin.update(value)
        if alarm:
            self._adwin = self._begun()
        if self._wait == 0:
            self._wait = SIDE if alarm else 0
            return None
        self._wait -= 1
        if self._wait:
            return None
        move = moved(np.fromiter(self._recent, float))
        if move is not None:
            self._recent = deque(list(self._recent)[-move.lasting :], self._recent.maxlen)
        return move


def moved(values: Floats) -> Move | None:
    """The split at which the level differs most; None where there are too few values for one."""
    n = len(values)
    if n < 2 * SIDE:
        return None
    left = np.arange(SIDE, n - SIDE + 1)
    centred = values - values.mean()
    sums, squares = np.cumsum(centred), np.cumsum(centred * centred)
    means = sums[left - 1] / left, (sums[-1] - sums[left - 1]) / (n - left)
    spread = squares[-1] - left * means[0] ** 2 - (n - left) * means[1] ** 2
    split = int(left[np.argmin(spread)])
    before, after = values[:split], values[split:]
    share = _independent(np.concatenate([before - before.mean(), after - after.mean()]))
    either = 2.0 * abs(confidence(_summary(before, share), _summary(after, share)) - 50.0)
    chance = min(1.0, (1.0 - either / 100.0) * len(left) * share)
    level, new = float(before.mean()), float(after.mean())
    magnitude = 100.0 * abs(new - level) / abs(level) if level else None
    return Move(level, new, magnitude, 100.0 * (1.0 - chance), len(after), n)


def _summary(values: Floats, share: float) -> Summary:
    return Summary(float(values.mean()), float(values.var(ddof=1)), max(2.0, len(values) * share))


def _independent(residuals: Floats) -> float:
    """The share of values that count as independent, from the correlation of neighbours: (1 - r) / (1 + r)."""
    power = float(residuals @ residuals)
    if power == 0.0:
        return 1.0
    r = min(0.99, max(0.0, float(residuals[1:] @ residuals[:-1]) / power))
    return (1.0 - r) / (1.0 + r)
