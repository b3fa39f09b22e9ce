"""What a policy would have reached, from what another one was logged to do, with intervals.

With w = target / logging of the candidate that was taken, and q what a model predicts:

    ips        mean of w r (Horvitz and Thompson 1952)
    snips      sum of w r / sum of w (Swaminathan and Joachims 2015)
    dr         mean of sum_a target(a) q(a) + w (r - q(taken)) (Dudik, Langford and Li 2011)
    switch-dr  as dr, without the second part where w is above a threshold (Wang, Agarwal and Dudik 2017)

All four are ratios of two means, so one interval does for all: empirical likelihood (Owen 1988), as sure of itself as
the decisions tell of their own spread; docs/training/off-policy.md says why.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Name = Literal["ips", "snips", "dr", "switch-dr"]
ESTIMATORS: tuple[Name, ...] = get_args(Name)

LEVEL = 0.95
_THRESHOLDS = 21  # that switch-dr chooses from
_ROUNDING = 1e-12  # deviations below this share of the values are of floating point, not of the decisions
_FAR = 1e9  # deviations, beyond which an interval has no end


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


def estimate(name: Name, sample: Sample) -> Estimate:
    """What the target would have reached."""
    weights = sample.weights()
    match name:
        case "ips":
            return interval(weights * sample.rewards)
        case "snips":
            return interval(weights * sample.rewards, weights)
        case "dr":
            return interval(corrected(sample))
        case "switch-dr":
            threshold = switch_threshold(sample)
            found = interval(corrected(sample, np.where(weights <= threshold, weights, 0.0)))
            return msgspec.structs.replace(found, threshold=threshold)


def logged(sample: Sample) -> Estimate:
    """What was reached by whoever decided."""
    return interval(sample.rewards)


def gain(sample: Sample) -> Estimate:
    """What the target would have reached more than was reached: doubly robust, decision by decision, so that what the
    two have in common does not widen the interval."""
    return interval(corrected(sample) - sample.rewards)


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


def interval(above: Numbers, below: Numbers | None = None) -> Estimate:
    """The mean of `above` over that of `below` (1 where it is left out; never negative), with the 95 % interval of
    empirical likelihood: the ratios that some weighting of the decisions gives under which these are not too unlikely.
    Where all decisions say the same it is a point, and infinite where a dozen or fewer count."""
    from scipy.optimize import brentq  # noqa: PLC0415 - 25 MB, for whoever estimates

    below = np.ones_like(above) if below is None else below
    value = float(above.sum() / below.sum())
    off = above - value * below
    if np.abs(off).max() <= _ROUNDING * np.abs(above).max():
        return Estimate(value, value, value)
    deviation = float(np.sqrt(off @ off) / below.sum())
    limit = _limit(off)

    def excess(steps: float) -> float:
        return _deviance(above - (value + steps * deviation) * below) - limit

    def end(steps: float) -> float:
        while excess(steps) < 0:
            if abs(steps) > _FAR:
                return math.copysign(math.inf, steps)
            steps *= 2
        return value + deviation * float(brentq(excess, 0.0, steps, xtol=1e-6))

    return Estimate(value, end(-2.0), end(2.0))


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


def _deviance(off: Numbers) -> float:
    """-2 log of how likely the decisions are under the weighting by which the mean of `off` is 0, over how likely they
    are when all weigh the same: the largest sum of 2 log(1 + t off) over t (Owen 2001). What was not seen may lie as
    far on the other side as the farthest that was, or one decision alone would prove that the mean is on its side;
    that is what bounds t (Karampatziakis, Langford and Mineiro 2020)."""
    from scipy.optimize import brentq  # noqa: PLC0415

    off = off / np.abs(off).max()

    def slope(tilt: float) -> float:
        return float((off / (1 + tilt * off)).sum())

    most = 1 - 1 / len(off)  # no decision weighs more than 1
    if slope(most) >= 0:
        tilt = most
    elif slope(-most) <= 0:
        tilt = -most
    else:
        tilt = float(brentq(slope, -most, most))
    return 2 * float(np.log1p(tilt * off).sum())


def _limit(off: Numbers) -> float:
    """Of the deviance: the square of Student's t. The degrees of freedom are of as many normal values as would tell
    their variance as exactly as these do theirs (Satterthwaite 1946): 2 n / (kurtosis - 1)."""
    from scipy.special import stdtrit  # noqa: PLC0415

    squares = (off / np.abs(off).max()) ** 2
    vague = float(squares @ squares) / float(squares.sum()) ** 2 - 1 / len(off)
    return float(stdtrit(2 / max(vague, _ROUNDING), (1 + LEVEL) / 2)) ** 2


def _padded(rows: Sequence[Any], most: int) -> Numbers:
    table = np.zeros((len(rows), most))
    for at, row in enumerate(rows):
        table[at, : len(row)] = row
    return table
