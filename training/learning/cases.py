"""Logged decisions with what their candidates were worth, as far as the log can say.

Nothing here knows what would have come of a candidate that was not taken: it is estimated, by models that did not see
the decision (training/ope/outcome.py). Rewards of different points have different units, so each is taken in standard
deviations of the rewards of its point.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from federation.errors import Refused
from tiki.schema import Point
from training.dataset.example import Logged
from training.learning.labels import schema
from training.ope.outcome import OutcomeModel, cross_fitted, doubly_robust

CLIP = 10.0
"""The largest factor 1 / propensity. A reward that is multiplied by more teaches one decision and forgets the rest."""

SURE = 0.9
"""Of an advisor that did not say how sure it was."""


class Case(NamedTuple):
    """expected: reward of each candidate of the decision, as predicted. robust: the doubly robust estimates of it. Both
    in standard deviations of the rewards of the point. good: the outcome was better than was to be expected of the way
    it was decided; None: there is no outcome."""

    logged: Logged
    expected: tuple[float, ...]
    robust: tuple[float, ...]
    good: bool | None


Judged = tuple[list[Case], list[Case]]
"""To learn from, and to validate on."""


def cases(point: Point, train: Sequence[Logged], others: Sequence[Logged]) -> Judged:
    """Both by models that were fitted on `train` alone, and saw no decision that they say something about. Both of this
    point.

    Raises Refused where there are too few outcomes in `train`.
    """
    predicted = cross_fitted(point, train)
    scale = float(np.std([example.reward for example in train if example.reward is not None]) or 1.0)
    return _judged(train, predicted, scale), _judged(others, _predicted(point, train, others), scale)


def unjudged(point: Point, train: Sequence[Logged], others: Sequence[Logged]) -> Judged:
    """As `cases`, for methods that need no outcomes."""
    learned, told = ([Case(example, (), (), None) for example in each] for each in (train, others))
    return learned, told


def at_each_point(
    judge: Callable[[Point, Sequence[Logged], Sequence[Logged]], Judged],
    train: Sequence[Logged],
    others: Sequence[Logged],
) -> tuple[Judged, dict[str, str]]:
    """What there is at all points together, in the order of time; and the points that are left out, with the reason.
    judge: `cases` or `unjudged`."""
    learned: list[Case] = []
    told: list[Case] = []
    left: dict[str, str] = {}
    for name in sorted({example.point for example in (*train, *others)}):
        try:
            more, beside = judge(schema(name), _of(train, name), _of(others, name))
        except Refused as refused:
            left[name] = refused.message
            continue
        learned += more
        told += beside
    return (sorted(learned, key=_time), sorted(told, key=_time)), left


def advised(logged: Logged) -> tuple[float, ...]:
    """What the advisor said, as probabilities of the candidates: what it leaves is shared by those that it did not
    choose. Empty: it was not asked, or asked for a person."""
    advice, count = logged.advice, len(logged.question.candidates)
    if advice is None or advice.choice is None:
        return ()
    sure = max(SURE if advice.confidence is None else advice.confidence, 1 / count)
    return tuple(sure if index == advice.choice else (1 - sure) / (count - 1) for index in range(count))


def weight(logged: Logged) -> float:
    """How much an example counts, so that what the policy took seldom is not learnt less for it: 1 / propensity, at
    most CLIP. What somebody above the policy decided counts 1."""
    return min(1 / logged.propensities[logged.choice], CLIP) if logged.propensities else 1.0


def _of(examples: Iterable[Logged], point: str) -> list[Logged]:
    return [example for example in examples if example.point == point]


def _time(case: Case) -> tuple[int, str]:
    return case.logged.at, case.logged.decision


def _predicted(point: Point, train: Sequence[Logged], others: Sequence[Logged]) -> list[NDArray[np.float64]]:
    return OutcomeModel.fit(point, train).predict([example.question for example in others]) if others else []


def _judged(examples: Sequence[Logged], predictions: Sequence[NDArray[np.float64]], scale: float) -> list[Case]:
    found = []
    for example, expected, robust in zip(
        examples, predictions, doubly_robust(examples, predictions, CLIP), strict=True
    ):
        good = None if example.reward is None else example.reward > _usual(example, expected)
        found.append(Case(example, tuple((expected / scale).tolist()), tuple((robust / scale).tolist()), good))
    return found


def _usual(logged: Logged, expected: NDArray[np.float64]) -> float:
    """The reward to be expected of a decision that is made in this way: by its propensities; where somebody else than
    the policy chose, of what it chose."""
    if logged.propensities:
        return math.fsum(share * value for share, value in zip(logged.propensities, expected.tolist(), strict=True))
    return float(expected[logged.choice])
