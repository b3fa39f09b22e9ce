"""Makes the scores of a policy into a confidence and a promise; federation/policy/calibration.py applies both.

Temperature and weights are fitted on one set of questions, thresholds are tested on another. The tests are
Learn-then-Test (Angelopoulos et al. 2021) by a fixed sequence: the thresholds, their number and their order follow from
the first set alone, and on the second an exact binomial test is made of each until one fails.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit
from scipy.stats import beta

from federation.policy.calibration import CONFIDENCE, FLOOR, Calibration, PointCalibration, Step
from federation.policy.question import LABELS, Scores

LEAST = 200
"""Questions that each set must have, else the policy may not decide alone at the point."""

_GRID = 50  # thresholds that are tested at most: every second percent of coverage
_RIDGE = 1e-4  # keeps weights finite: a point with two candidates has no rest, and one may have no wrong choice
_HOPELESS = 0.5  # no spec asks for a bound above it


class Marked(NamedTuple):
    """What a policy said to a set of questions, and what was right.

    scores: questions x labels, logarithms, -inf where a question has fewer labels. right: the same shape; whether each
    candidate was right in what happened.
    """

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]

    def chosen(self) -> NDArray[np.bool_]:
        """Whether the first of the likeliest labels was right."""
        chosen: NDArray[np.bool_] = self.right[np.arange(len(self.right)), self.scores.argmax(axis=1)]
        return chosen


def marked(scores: Sequence[Scores], right: Sequence[Sequence[bool]]) -> Marked:
    """As a table, padded to the most labels there can be. right: of each question, whether each candidate was right."""
    table = np.full((len(scores), len(LABELS)), -np.inf)
    truth = np.zeros(table.shape, dtype=bool)
    for row, (said, was) in enumerate(zip(scores, right, strict=True)):
        table[row, : len(said)] = said
        truth[row, : len(was)] = was
    return Marked(table, truth)


def budget(times: int) -> float:
    """The part of 1 - CONFIDENCE that calibration number `times` (from 1) spends: all that can ever be sum to it."""
    return (1 - CONFIDENCE) * 6 / (math.pi * times) ** 2


def calibrate(fitting: Marked, testing: Marked, version: int, times: int = 1) -> PointCalibration:
    """Of one policy at one point. fitting, testing: the two sets of questions, which share none. version: of the point.
    times: how often this policy has been calibrated at this point, this one included."""
    spent = budget(times)
    found = PointCalibration(
        version, 1.0, (0.0, 1.0, 0.0, 0.0), (), len(fitting.right), len(testing.right), times, spent
    )
    if min(found.fitted_on, found.tested_on) < LEAST:
        return found
    found = replace(found, temperature=fit_temperature(fitting))
    found = replace(found, weights=fit_weights(fitting, found.temperature))
    thresholds = sequence(confidences(found, fitting))
    return replace(found, steps=walk(thresholds, confidences(found, testing), testing.chosen(), spent))


def of_policy(
    policy: str, data: str, points: Mapping[str, tuple[int, Marked, Marked]], before: Calibration | None = None
) -> Calibration:
    """Of a policy at all its points. policy: its version. data: digest of what made the questions. points: by name, the
    version of the point, and what the policy said to the splits `temperature` and `threshold`. before: what is
    replaced; where it is of the same policy its calibrations count, and so its error budget is spent."""
    known = before.points if before is not None and before.policy == policy else {}
    found = {
        name: calibrate(fitting, testing, version, known[name].times + 1 if name in known else 1)
        for name, (version, fitting, testing) in points.items()
    }
    return Calibration(policy, data, found)


def confidences(calibration: PointCalibration, marked: Marked) -> NDArray[np.float64]:
    """`PointCalibration.confidence` of each question, for many at once."""
    constant, *slopes = calibration.weights
    odds = constant + _masses(marked.scores, calibration.temperature) @ np.array(slopes)
    return np.asarray(expit(np.clip(odds, -30, 30)))


def fit_temperature(marked: Marked) -> float:
    """The temperature of the least cross entropy (Guo et al. 2017); several right candidates share their question."""
    target = marked.right / np.maximum(marked.right.sum(axis=1, keepdims=True), 1)

    def loss(log: float) -> float:
        logs = _tempered(marked.scores, math.exp(log))
        return -float(np.sum(target * np.where(marked.right, logs, 0.0)))

    return math.exp(float(minimize_scalar(loss, bounds=(-2.5, 2.5), method="bounded", options={"xatol": 1e-3}).x))


def fit_weights(marked: Marked, temperature: float) -> tuple[float, float, float, float]:
    """Logistic regression of whether the choice was right on the masses of its question."""
    inputs = np.column_stack([np.ones(len(marked.right)), _masses(marked.scores, temperature)])
    signs = np.where(marked.chosen(), 1.0, -1.0)

    def loss(weights: NDArray[np.float64]) -> float:
        return float(np.logaddexp(0, -signs * (inputs @ weights)).mean() + _RIDGE * weights @ weights / 2)

    def slopes(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(_RIDGE * weights - (signs * expit(-signs * (inputs @ weights))) @ inputs / len(signs))

    def curvature(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        sure = expit(inputs @ weights)
        return np.asarray(_RIDGE * np.eye(len(weights)) + (inputs.T * (sure * (1 - sure))) @ inputs / len(signs))

    start = np.array([0.0, 1.0, 0.0, 0.0])
    constant, best, second, rest = minimize(loss, start, jac=slopes, hess=curvature, method="trust-exact").x.tolist()
    return constant, best, second, rest


def bound(wrong: NDArray[Any], accepted: NDArray[np.int64], spent: float) -> NDArray[np.float64]:
    """The largest error that the exact binomial test at level `spent` does not refuse (Clopper and Pearson 1934): error
    `e` is refused, P(Binomial(accepted, e) <= wrong) <= spent, just where it is at least this."""
    return np.asarray(
        np.where(wrong < accepted, beta.ppf(1 - spent, wrong + 1, np.maximum(accepted - wrong, 1e-9)), 1.0)
    )


def sequence(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds in the order of their tests: from the one that most surely passes downward, for every `max_error` the
    same ones. From the questions that were fitted on: as many are expected to be wrong as the confidences say,
    which is steadier than counting the few that were."""
    shares = np.arange(1, _GRID) / _GRID
    grid = np.append(np.unique(np.quantile(confidence, 1 - shares))[::-1], 0.0)
    ordered = -np.sort(-confidence)
    accepted = np.searchsorted(-ordered, -grid, side="right")
    expected = np.cumsum(1 - ordered)[accepted - 1]
    return grid[int(np.argmin(bound(expected, accepted, 1 - CONFIDENCE))) :]


def walk(
    thresholds: NDArray[np.float64], confidence: NDArray[np.float64], right: NDArray[np.bool_], spent: float
) -> tuple[Step, ...]:
    """Tests the thresholds in order. A `max_error` may use every one before the first whose bound is above it, so the
    bound of a step is the largest one up to it; of steps with the same bound the last one is kept.

    Given which questions reach a threshold, the wrong ones among them are binomial, so each test is exact; a fixed
    sequence needs no correction for their number, as it stops at the first that fails.
    """
    wrong, accepted = _counts(thresholds, confidence, right)
    bounds = np.maximum.accumulate(bound(wrong, accepted, spent))
    last = np.append(bounds[1:] > bounds[:-1], True) & (bounds <= _HOPELESS)
    rows = zip(thresholds.tolist(), accepted.tolist(), wrong.tolist(), bounds.tolist(), strict=True)
    return tuple(Step(*row) for row, kept in zip(rows, last, strict=True) if kept)


def _masses(scores: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    ordered = -np.sort(-_tempered(scores, temperature), axis=1)
    rest = np.logaddexp.reduce(ordered[:, 2:], axis=1)
    return np.asarray(np.maximum(np.column_stack([ordered[:, :2], rest]), math.log(FLOOR)))


def _tempered(scores: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    scaled = scores / temperature
    return np.asarray(scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True))


def _counts(
    thresholds: NDArray[np.float64], confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each threshold: how many of those that reach it are wrong, and how many reach it."""
    order = np.argsort(-confidence, kind="stable")
    wrong = np.concatenate([[0], np.cumsum(~right[order])])
    accepted = np.searchsorted(-confidence[order], -thresholds, side="right")
    return wrong[accepted], accepted.astype(np.int64)
