"""What would have come of every candidate, predicted from what came of those that were taken.

The direct model of doubly robust estimation (Dudik et al. 2014): a regression of the reward on question and candidate,
a row a candidate. It is wrong wherever the log is thin, and `doubly_robust` puts right what it says of the candidates
that were taken.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.errors import Refused
from federation.policy.question import Question, Scores
from federation.policy.tabular import Encoder, Rows
from tiki.schema import Point
from training.dataset.example import Logged
from training.threads import one_thread

LEAST = 20
"""Outcomes, and families, below which nothing is fitted."""

_FOLDS = 3  # by which the kind of the regression is chosen
_STRENGTHS = (1.0, 10.0, 100.0)  # of the ridge, on columns of unit variance
_LEAF = 10  # least rows in a leaf of the trees


class OutcomeModel:
    """Of one point. kind: the regression that was chosen, the one with the least squared error on families that it had
    not seen. error: that error, in squared units of the reward."""

    def __init__(self, point: Point, kind: str, error: float, regression: Any, low: float, high: float) -> None:
        self.kind = kind
        self.error = error
        self._encoder = Encoder(point)
        self._regression = regression
        self._range = low, high

    @classmethod
    def fit(cls, point: Point, examples: Sequence[Logged]) -> "OutcomeModel":
        """Of the examples whose outcome is known, whoever decided them. The same examples give the same model.

        Raises Refused where they are fewer than LEAST, or of fewer than LEAST families.
        """
        table = _Table(point, examples)
        return _fitted(point, table, np.ones(len(examples), bool))

    def predict(self, questions: Sequence[Question]) -> list[NDArray[np.float64]]:
        """The expected reward of each candidate of each question; never beyond the rewards that were seen."""
        return self.of_rows([self._encoder.rows(question) for question in questions])

    def of_rows(self, each: Sequence[Rows]) -> list[NDArray[np.float64]]:
        """As `predict`, of questions that are encoded."""
        if not each:
            return []
        with one_thread():
            found = np.clip(self._regression.predict(np.vstack(each)), *self._range)
        return np.split(np.asarray(found, float), np.cumsum([len(rows) for rows in each])[:-1])


def cross_fitted(point: Point, examples: Sequence[Logged], folds: int = 5, seed: int = 0) -> list[NDArray[np.float64]]:
    """The expected reward of each candidate of each example, by a model that saw no example of its family
    (Chernozhukov et al. 2018). Raises Refused as `OutcomeModel.fit` does."""
    table = _Table(point, examples)
    part = _parts(table.families, folds, seed)
    found: dict[int, NDArray[np.float64]] = {}
    for number in range(folds):
        own = np.flatnonzero(part == number).tolist()
        model = _fitted(point, table, part != number)
        found |= zip(own, model.of_rows([table.each[at] for at in own]), strict=True)
    return [found[at] for at in range(len(examples))]


def doubly_robust(
    examples: Sequence[Logged], predictions: Sequence[NDArray[np.float64]], clip: float = 50.0
) -> list[NDArray[np.float64]]:
    """The doubly robust estimate of the reward of each candidate of each example: what is predicted, and for the one
    that was taken also what its outcome was off by, over its propensity (Dudik et al. 2014, per candidate). Unbiased
    for every candidate that could be taken, whatever was predicted, as long as nothing is clipped.

    predictions: of models that did not see the example. clip: the largest factor 1 / propensity. An example whose
    outcome or propensities are not known keeps what is predicted.
    """
    found = []
    for example, predicted in zip(examples, predictions, strict=True):
        estimate = predicted.copy()
        if example.reward is not None and example.propensities:
            weight = min(1 / example.propensities[example.choice], clip)
            estimate[example.choice] += weight * (example.reward - predicted[example.choice])
        found.append(estimate)
    return found


class Ridge:
    """Linear in the columns, and again for each action, so that a fact may mean another thing to another action."""

    def __init__(self, strength: float, actions: slice) -> None:
        self._strength = strength
        self._actions = actions

    def fit(self, rows: Rows, rewards: NDArray[np.float64]) -> "Ridge":
        from sklearn.linear_model import Ridge as Regression  # noqa: PLC0415 - a second, and only for training

        known = np.maximum(np.isfinite(rows).sum(axis=0), 1)
        self._mean = np.nansum(rows, axis=0) / known
        scale = np.sqrt(np.nansum((rows - self._mean) ** 2, axis=0) / known)
        self._scale = np.where(scale < 1e-9, 1.0, scale)
        self._regression = Regression(alpha=self._strength).fit(self._inputs(rows), rewards)
        return self

    def predict(self, rows: Rows) -> NDArray[np.float64]:
        return np.asarray(self._regression.predict(self._inputs(rows)))

    def _inputs(self, rows: Rows) -> Rows:
        given = np.nan_to_num((rows - self._mean) / self._scale)
        return np.hstack([given, *(given * action[:, None] for action in rows[:, self._actions].T)])


class Trees:
    """Histogram gradient boosting (Ke et al. 2017; scikit-learn's)."""

    def __init__(self, leaves: int, rate: float, trees: int) -> None:
        from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 - a second, and only for training

        self._regression = HistGradientBoostingRegressor(
            max_leaf_nodes=leaves,
            learning_rate=rate,
            max_iter=trees,
            min_samples_leaf=_LEAF,
            early_stopping=False,
            random_state=0,
        )

    def fit(self, rows: Rows, rewards: NDArray[np.float64]) -> "Trees":
        self._never = np.isnan(rows).all(axis=0)  # scikit-learn cannot bin a column without a number
        self._regression.fit(self._binnable(rows), rewards)
        return self

    def predict(self, rows: Rows) -> NDArray[np.float64]:
        return np.asarray(self._regression.predict(self._binnable(rows)))

    def _binnable(self, rows: Rows) -> Rows:
        return np.where(self._never, 0.0, rows)


def boosted() -> Trees:
    """Trees of the size that suits some thousand decisions."""
    return Trees(15, 0.1, 100)


def predicting(encoder: Encoder, model: Trees) -> Callable[[Sequence[Question]], list[Scores]]:
    """What answers questions by the reward that is predicted of each candidate."""
    return lambda questions: [tuple(model.predict(encoder.rows(question)).tolist()) for question in questions]


def refitted(point: Point, log: Iterable[Logged]) -> Callable[[Sequence[Question]], list[Scores]]:
    """Gradient-boosted trees on what came of the candidates that were taken at a point: they choose what they predict
    the best of."""
    encoder = Encoder(point)
    known = [one for one in log if one.point == point.name and one.reward is not None]
    rows = np.vstack([encoder.rows(one.question)[one.choice] for one in known])
    return predicting(encoder, boosted().fit(rows, np.array([one.reward for one in known], float)))


def _kinds(point: Point) -> Mapping[str, Any]:
    """What can be fitted, by name; each call makes a fresh one."""
    first = Encoder(point).first
    actions = slice(first, first + len(point.actions))
    ridges = {f"ridge {strength:g}": (Ridge, strength, actions) for strength in _STRENGTHS}
    return ridges | {"trees": (boosted,)}


class _Table:
    """Examples, encoded once. each: the candidates of each. taken: the row of the one that was taken. rewards: NaN
    where none is known. Raises Refused where too few are."""

    def __init__(self, point: Point, examples: Sequence[Logged]) -> None:
        known = [example.family for example in examples if example.reward is not None]
        for count, what in ((len(known), "decisions"), (len(set(known)), "kinds of decision")):
            if count < LEAST:
                raise Refused(
                    "few-outcomes",
                    f"{count} {what} of `{point.name}` have an outcome; {LEAST} are needed to learn from",
                    cure="wait for more outcomes, or take a longer time into the data set",
                )
        encoder = Encoder(point)
        self.families = [example.family for example in examples]
        self.each = [encoder.rows(example.question) for example in examples]
        self.taken = np.array([rows[example.choice] for rows, example in zip(self.each, examples, strict=True)])
        self.rewards = np.array([example.reward for example in examples], float)


def _fitted(point: Point, table: _Table, learns: NDArray[np.bool_]) -> OutcomeModel:
    """learns: of the examples of the table, those that it may see."""
    at = np.flatnonzero(learns & np.isfinite(table.rewards))
    rows, rewards = table.taken[at], table.rewards[at]
    part = _parts([table.families[index] for index in at], _FOLDS, seed=0)
    kinds = _kinds(point)

    def error(kind: str) -> float:
        made, *options = kinds[kind]
        missed = [
            (made(*options).fit(rows[seen], rewards[seen]).predict(rows[~seen]) - rewards[~seen]) ** 2
            for seen in (part != number for number in range(_FOLDS))
        ]
        return float(np.mean(np.concatenate(missed)))

    with one_thread():
        errors = {kind: error(kind) for kind in kinds}
        kind = min(errors, key=errors.__getitem__)
        made, *options = kinds[kind]
        regression = made(*options).fit(rows, rewards)
    return OutcomeModel(point, kind, errors[kind], regression, float(rewards.min()), float(rewards.max()))


def _parts(families: Sequence[str], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each example, one for all of a family; folds differ by one family at most."""
    names = sorted(set(families))
    order = np.random.default_rng(seed).permutation(len(names))
    fold = {names[at]: number % folds for number, at in enumerate(order.tolist())}
    return np.array([fold[family] for family in families], np.int64)
