"""What a policy must beat: chance, the most frequent answer, rules, a conditional logit and boosted trees.

Each is fitted on the split `train`, chosen on `validation`, and answers with scores as the policy does, so that it is
calibrated and measured by the same code.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from random import Random

import numpy as np
from scipy.optimize import minimize

from federation.policy.question import Question, Scores
from federation.policy.tabular import Encoder, Linear, Model, Rows, Trees, log_shares
from tiki.schema import Point
from training.scenarios.rules import Rules
from training.scenarios.scenario import Example
from training.scenarios.world import World
from training.threads import one_thread

Scorer = Callable[[Question], Scores]

_STRENGTHS = (1e-4, 1e-3, 1e-2)  # of the ridge, on columns of unit variance
_SIZES = ((15, 0.1, 150), (31, 0.05, 250))  # leaves a tree, learning rate, trees


def chance(seed: int = 0) -> Scorer:
    """Any candidate, each as likely."""
    draw = Random(seed)

    def score(question: Question) -> Scores:
        lucky = draw.randrange(len(question.candidates))
        return _sure(lucky, len(question.candidates), 0.01)

    return score


def majority(examples: Sequence[Example]) -> Scorer:
    """The action that is right most often where it is offered."""
    right: dict[str, float] = defaultdict(float)
    offered: Counter[str] = Counter()
    for example in examples:
        for candidate, share in zip(example.question.candidates, example.right, strict=True):
            right[candidate.action] += share
            offered[candidate.action] += 1

    def score(question: Question) -> Scores:
        shares = [(right[c.action] + 1) / (offered[c.action] + 2) for c in question.candidates]
        return log_shares(np.log(shares))

    return score


def rules(world: World) -> Scorer:
    """What a careful author's rules say, without a doubt."""
    answers = Rules(world)
    return lambda question: _sure(answers.choose(question), len(question.candidates), 0.01)


def tabular(point: Point, model: Model) -> Scorer:
    encoder = Encoder(point)
    return lambda question: log_shares(model.values(encoder.rows(question)))


class Sheet:
    """Examples as one table. rows: candidates of all questions x columns. right: by row. starts: first row of each
    question."""

    def __init__(self, point: Point, examples: Sequence[Example]) -> None:
        encoder = Encoder(point)
        self.rows = np.vstack([encoder.rows(example.question) for example in examples])
        self.right = np.array([share for example in examples for share in example.right])
        self.counts = np.array([len(example.right) for example in examples])
        self.starts = np.concatenate([[0], np.cumsum(self.counts)[:-1]])

    def log_shares(self, values: Rows) -> Rows:
        top = np.maximum.reduceat(values, self.starts).repeat(self.counts)
        total = np.add.reduceat(np.exp(values - top), self.starts).repeat(self.counts)
        return np.asarray(values - top - np.log(total))

    def shares(self) -> Rows:
        """The right candidates of a question share it equally."""
        return np.asarray(self.right / np.maximum(np.add.reduceat(self.right, self.starts), 1e-9).repeat(self.counts))

    def reached(self, values: Rows) -> float:
        """The share that is right of the questions, choosing the largest value of each."""
        best = np.maximum.reduceat(values, self.starts).repeat(self.counts)
        chosen = values >= best
        return float(np.mean(np.add.reduceat(self.right * chosen, self.starts) / np.add.reduceat(chosen, self.starts)))


def fit_linear(point: Point, train: Sheet, validation: Sheet) -> Linear:
    """The conditional logit of the least cross entropy, its ridge the one that answers `validation` best."""
    first = Encoder(point).first
    actions = train.rows[:, first : first + len(point.actions)]
    known = np.maximum(np.isfinite(train.rows).sum(axis=0), 1)
    mean = np.nansum(train.rows, axis=0) / known
    scale = np.sqrt(np.nansum((train.rows - mean) ** 2, axis=0) / known)
    scale[scale < 1e-9] = 1.0
    given = np.nan_to_num((train.rows - mean) / scale)
    inputs = np.hstack([given, *(given * action[:, None] for action in actions.T)])
    shape = (1 + len(point.actions), given.shape[1])
    target = train.shares()
    questions = len(train.counts)

    def loss(weights: Rows, strength: float) -> tuple[float, Rows]:
        logs = train.log_shares(inputs @ weights)
        pull = strength * weights
        slopes = (np.exp(logs) - target) @ inputs / questions + pull
        return float(-(target @ logs) / questions + weights @ pull / 2), slopes

    def fitted(strength: float) -> Linear:
        options = {"maxiter": 150}
        found = minimize(loss, np.zeros(inputs.shape[1]), (strength,), jac=True, method="L-BFGS-B", options=options)
        return Linear(mean.tolist(), scale.tolist(), found.x.reshape(shape).tolist(), first)

    with one_thread():
        return max(map(fitted, _STRENGTHS), key=lambda model: validation.reached(model.values(validation.rows)))


def fit_trees(train: Sheet, validation: Sheet) -> Trees:
    """Histogram gradient boosting (Ke et al. 2017; scikit-learn's) on whether a candidate is right, a row a candidate,
    of the size that answers `validation` best."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - a second, and only for training

    never = np.isnan(train.rows).all(axis=0)  # scikit-learn cannot bin a column without a number; no tree asks for it
    known = np.where(never, 0.0, train.rows)
    rows = np.vstack([known, known])
    labels = np.repeat([1, 0], len(train.rows))
    weights = np.concatenate([train.right, 1 - train.right])
    kept = weights > 0
    models = []
    for leaves, rate, trees in _SIZES:
        booster = HistGradientBoostingClassifier(
            max_leaf_nodes=leaves, learning_rate=rate, max_iter=trees, early_stopping=False, random_state=0
        )
        with one_thread():
            booster.fit(rows[kept], labels[kept], sample_weight=weights[kept])
        models.append(exported(booster))
    return max(models, key=lambda model: validation.reached(model.values(validation.rows)))


def exported(booster: object) -> Trees:
    """The trees of a fitted HistGradientBoostingClassifier of two classes, as lists."""
    nodes = [tree[0].nodes for tree in booster._predictors]  # type: ignore[attr-defined]
    starts = np.concatenate([[0], np.cumsum([len(each) for each in nodes])[:-1]])
    every = np.concatenate(nodes)
    offset = np.repeat(starts, [len(each) for each in nodes])
    itself = np.arange(len(every))
    leaf = every["is_leaf"].astype(bool)
    return Trees(
        column=np.where(leaf, 0, every["feature_idx"]).tolist(),
        threshold=np.where(leaf, 0.0, every["num_threshold"]).tolist(),
        left=np.where(leaf, itself, every["left"] + offset).tolist(),
        right=np.where(leaf, itself, every["right"] + offset).tolist(),
        blank=every["missing_go_to_left"].astype(bool).tolist(),
        value=np.where(leaf, every["value"], 0.0).tolist(),
        roots=starts.tolist(),
        start=float(np.ravel(booster._baseline_prediction)[0]),  # type: ignore[attr-defined]
        depth=int(every["depth"].max()),
    )


def _sure(choice: int, candidates: int, doubt: float) -> Scores:
    rest = math.log(doubt / (candidates - 1))
    return tuple(math.log(1 - doubt) if index == choice else rest for index in range(candidates))
