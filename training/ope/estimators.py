"""What a policy would have reached, from what another one was logged to do, with intervals.

With w = target / logging of the candidate that was taken, and q what a model predicts:

    ips        mean of w r (Horvitz and Thompson 1952)
    snips      sum of w r / sum of w (Swaminathan and Joachims 2015)
    dr         mean of sum_a target(a) q(a) + w (r - q(taken)) (Dudik, Langford and Li 2011)
    switch-dr  as dr, without the second part where w is above a threshold (Wang, Agarwal and Dudik 2017)

All four are ratios of two means, so one interval does for all: the symmetric studentised bootstrap (Hall 1988);
docs/training/off-policy.md says why.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Name = Literal["ips", "snips", "dr", "switch-dr"]
ESTIMATORS: tuple[Name, ...] = get_args(Name)

LEVEL = 0.95
RESAMPLES = 1000
_THRESHOLDS = 21  # that switch-dr chooses from
_AT_ONCE = 4_000_000  # draws of the bootstrap held in memory together


class Sample(NamedTuple):
    """n decisions with at most k candidates each; rows are padded with 0. taken: n, index of the candidate. rewards: n.
    logging, target: n x k, probability that each candidate was, and would be, taken. predicted: n x k, the reward
    expected of it by a model that did not see the decision."""

    taken: NDArray[np.int64]
    rewards: Numbers
    logging: Numbers
    target: Numbers
    predicted: Numbers

    def weights(self) -> Numbers:
        """n: how much likelier the target takes what was taken."""
        rows = np.arange(len(self.taken))
        return np.asarray(self.target[rows, self.taken] / self.logging[rows, self.taken])

    def effective(self) -> float:
        """Decisions of the target itself that would tell as much (Kish 1965): (sum of w)^2 / sum of w^2."""
        weights = self.weights()
        total = float(weights.sum())
        return total * total / float(weights @ weights) if total else 0.0


class Estimate(msgspec.Struct, frozen=True):
    """Mean reward of a decision, in the unit of the point, with its 95 % interval. threshold: of switch-dr, the weight
    above which the model alone is asked."""

    value: float
    low: float
    high: float
    threshold: float | None = None


def estimate(name: Name, sample: Sample, seed: int = 0) -> Estimate:
    """What the target would have reached. seed: of the bootstrap."""
    weights = sample.weights()
    match name:
        case "ips":
            return interval(weights * sample.rewards, seed=seed)
        case "snips":
            return interval(weights * sample.rewards, weights, seed=seed)
        case "dr":
            return interval(corrected(sample), seed=seed)
        case "switch-dr":
            threshold = switch_threshold(sample)
            found = interval(corrected(sample, np.where(weights <= threshold, weights, 0.0)), seed=seed)
            return msgspec.structs.replace(found, threshold=threshold)


def logged(sample: Sample, seed: int = 0) -> Estimate:
    """What was reached by whoever decided."""
    return interval(sample.rewards, seed=seed)


def gain(sample: Sample, seed: int = 0) -> Estimate:
    """What the target would have reached more than was reached: doubly robust, decision by decision, so that what the
    two have in common does not widen the interval."""
    return interval(corrected(sample) - sample.rewards, seed=seed)


def switch_threshold(sample: Sample) -> float:
    """The one of the least variance plus squared bias, both estimated from above (Wang et al. 2017): where
    the correction is left out, the model is off by no more than the range of the rewards. Of thresholds that are as
    good the largest."""
    weights = sample.weights()
    every = np.divide(sample.target, sample.logging, out=np.zeros_like(sample.target), where=sample.logging > 0)
    span = float(np.ptp(sample.rewards))
    positive = every[every > 0]
    grid = np.geomspace(positive.min(), positive.max() * (1 + 1e-12), _THRESHOLDS)

    def risk(threshold: float) -> float:
        kept = np.where(weights <= threshold, weights, 0.0)
        variance = float(corrected(sample, kept).var(ddof=1)) / len(weights)
        bias = span * float((sample.target * (every > threshold)).sum(axis=1).mean())
        return variance + bias * bias

    return float(min(grid[::-1], key=risk))


def interval(above: Numbers, below: Numbers | None = None, seed: int = 0) -> Estimate:
    """The mean of `above` over that of `below` (1 where it is left out), with the 95 % interval of the symmetric
    studentised bootstrap; at least two decisions. The deviation of a ratio is that of its influence function."""
    below = np.ones_like(above) if below is None else below
    columns = np.column_stack([above, below, above * above, above * below, below * below])
    count = len(above)
    value, deviation = _studentised(columns.sum(axis=0)[None])
    random = np.random.default_rng(seed)
    found: list[Numbers] = []
    for size in _portions(count):
        draws = random.integers(0, count, (size, count))
        counts = np.zeros((size, count))
        for row, drawn in enumerate(draws):
            counts[row] = np.bincount(drawn, minlength=count)
        values, deviations = _studentised(counts @ columns)
        found.append(np.abs(values - value) / np.maximum(deviations, 1e-12))
    reach = float(np.quantile(np.concatenate(found), LEVEL) * deviation[0])
    return Estimate(float(value[0]), float(value[0]) - reach, float(value[0]) + reach)


def sample(
    rewards: Sequence[float],
    taken: Sequence[int],
    logging: Sequence[Sequence[float]],
    target: Sequence[Sequence[float]],
    predicted: Sequence[Sequence[float] | Numbers],
) -> Sample:
    """The decisions as tables."""
    most = max(len(row) for row in logging)
    return Sample(
        np.array(taken, np.int64),
        np.array(rewards, float),
        _padded(logging, most),
        _padded(target, most),
        _padded(predicted, most),
    )


def corrected(sample: Sample, weights: Numbers | None = None) -> Numbers:
    """n: what the target would have reached at each decision, doubly robust; the mean is `dr`. Of two targets at the
    same decisions the differences can be compared one by one. weights: others than the sample's."""
    weights = sample.weights() if weights is None else weights
    predicted = sample.predicted[np.arange(len(sample.taken)), sample.taken]
    direct = (sample.target * sample.predicted).sum(axis=1)
    return np.asarray(direct + weights * (sample.rewards - predicted))


def _studentised(sums: Numbers) -> tuple[Numbers, Numbers]:
    """Ratios and their deviations, from the sums of above, below, and their products, a row each."""
    above, below, squares, products, weights = sums.T
    total = np.maximum(below, 1e-300)
    values = above / total
    spread = squares - 2 * values * products + values * values * weights
    return values, np.sqrt(np.maximum(spread, 0.0)) / total


def _portions(count: int) -> list[int]:
    size = max(1, min(RESAMPLES, _AT_ONCE // max(count, 1)))
    whole, rest = divmod(RESAMPLES, size)
    return [size] * whole + ([rest] if rest else [])


def _padded(rows: Sequence[Any], most: int) -> Numbers:
    table = np.zeros((len(rows), most))
    for at, row in enumerate(rows):
        table[at, : len(row)] = row
    return table
