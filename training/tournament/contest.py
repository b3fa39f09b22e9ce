"""Policies that answered the same questions, compared pair by pair.

All pairs at all points are one family: their intervals are those of the single-step max-t bootstrap (Westfall and Young
1993; Romano and Wolf, Econometrica 73, 2005), which hold all at once. However many policies compete at however many
points, at most one tournament in twenty calls any policy better that is not.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import msgspec
import numpy as np

from training.evaluation.bootstrap import RESAMPLES
from training.ope.estimators import LEVEL, Numbers

LEAST_DIFFERING = 30
"""Questions that two policies have to answer otherwise before they are compared: a bootstrap of fewer differences says
nothing, and would widen the intervals of all others."""

_AT_ONCE = 2_000_000  # counts of the bootstrap held in memory together


class Match(NamedTuple):
    """At one decision point. names: of the contestants, at least two, the champion first. rewards: questions x
    contestants, in the unit of the point; what came, or is estimated to come, of each one's choice."""

    point: str
    names: tuple[str, ...]
    rewards: Numbers


class Pair(msgspec.Struct, frozen=True):
    """gain: of the mean reward of a question by `one` over `other`, in the unit of the point; low, high: its interval,
    that holds at once with all others of the tournament; None: they are alike. differing: questions that tell them
    apart, of `questions`."""

    point: str
    one: str
    other: str
    gain: float
    low: float | None
    high: float | None
    differing: int
    questions: int

    @property
    def better(self) -> str:
        """Which one is; empty: that is not shown."""
        if self.low is not None and self.low > 0:
            return self.one
        return self.other if self.high is not None and self.high < 0 else ""

    def turned(self) -> "Pair":
        """Seen from the other one."""
        low = None if self.high is None else -self.high
        high = None if self.low is None else -self.low
        return Pair(self.point, self.other, self.one, -self.gain, low, high, self.differing, self.questions)


class Score(NamedTuple):
    """Of a contestant over all its pairs: those that it wins, that it loses, and that stay open."""

    won: int
    lost: int
    open: int


def compare(matches: Sequence[Match], seed: int = 0) -> list[Pair]:
    """Every pair of every match, the later contestant as `one`, so that a gain over the champion is positive. seed: of
    the bootstrap; the same matches give the same pairs. A second for 20 points with 5 policies and 2,000 questions."""
    draws = np.random.default_rng(seed)
    tables = [_differences(match) for match in matches]
    largest = np.zeros(RESAMPLES)
    for table in tables:
        told = table[:, _apart(table) >= LEAST_DIFFERING]
        if told.shape[1]:
            largest = np.maximum(largest, _deviations(told, draws))
    reach = float(np.quantile(largest, LEVEL))
    return [pair for match, table in zip(matches, tables, strict=True) for pair in _pairs(match, table, reach)]


def winner(champion: str, pairs: Sequence[Pair]) -> Pair | None:
    """Of the pairs of one point: the one by which the policy that gains most over the champion is shown to be better
    than it; None: nobody is, and the champion stays."""
    against = [
        pair if pair.other == champion else pair.turned() for pair in pairs if champion in (pair.one, pair.other)
    ]
    return max((pair for pair in against if pair.better == pair.one), key=lambda pair: pair.gain, default=None)


def scores(pairs: Sequence[Pair]) -> dict[str, Score]:
    """By contestant, the one with the most wins less losses first."""
    names = dict.fromkeys(name for pair in pairs for name in (pair.one, pair.other))
    found = {}
    for name in names:
        mine = [pair.better for pair in pairs if name in (pair.one, pair.other)]
        won, open_ = mine.count(name), mine.count("")
        found[name] = Score(won, len(mine) - won - open_, open_)
    return dict(sorted(found.items(), key=lambda one: one[1].lost - one[1].won))


def _differences(match: Match) -> Numbers:
    """questions x pairs."""
    columns = [match.rewards[:, two] - match.rewards[:, one] for one, two in combinations(range(len(match.names)), 2)]
    return np.column_stack(columns)


def _apart(table: Numbers) -> Numbers:
    return np.asarray((table != 0).sum(axis=0))


def _deviations(table: Numbers, random: np.random.Generator) -> Numbers:
    """Of each resample the largest distance of a mean from the one that was seen, in its own standard errors (Hall
    1988)."""
    count = len(table)
    mean, columns = table.mean(axis=0), np.hstack([table, table * table])
    found: list[Numbers] = []
    size = max(1, min(RESAMPLES, _AT_ONCE // count))
    for begin in range(0, RESAMPLES, size):
        rows = min(size, RESAMPLES - begin)
        counts = np.zeros((rows, count))
        for row in counts:
            row += np.bincount(random.integers(0, count, count), minlength=count)
        means, squares = np.split(counts @ columns / count, 2, axis=1)
        errors = np.sqrt(np.maximum(squares - means * means, 1e-300) / count)
        found.append(np.max(np.abs(means - mean) / errors, axis=1))
    return np.concatenate(found)


def _pairs(match: Match, table: Numbers, reach: float) -> Iterator[Pair]:
    count = len(table)
    of = zip(combinations(match.names, 2), table.T, _apart(table).tolist(), strict=True)
    for (other, one), differences, differing in of:
        gain, wide = float(differences.mean()), reach * float(differences.std()) / count**0.5
        told = differing >= LEAST_DIFFERING
        low, high = (gain - wide, gain + wide) if told else (None, None)
        yield Pair(match.point, one, other, gain, low, high, differing, count)
