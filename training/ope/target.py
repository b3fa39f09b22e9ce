"""Logged decisions as a sample for a policy that takes its best candidate each time."""

from collections.abc import Callable, Iterable, Sequence

from federation.errors import Refused
from federation.points import DecisionPoint
from federation.policy.question import Question, Scores
from training.dataset.example import Logged
from training.dataset.store import DataSet
from training.ope.estimators import Sample
from training.ope.outcome import OutcomeModel, cross_fitted
from training.ope.support import Usable, supported, usable


def parts(data: DataSet, split: str) -> tuple[list[Logged], list[Logged] | None]:
    """What is asked about, and what a model of the outcome may learn from apart from it; None: there is nothing apart.
    Raises Refused for another split than `test` and `all`."""
    if split == "test":
        return data.test, [*data.train, *data.validation]
    if split == "all":
        return sorted([*data.train, *data.validation, *data.test], key=lambda one: one.at), None
    raise Refused("no-split", f"there is no split `{split}`", place="--split", cure="choose test or all")


def of_policy(
    point: DecisionPoint,
    asked: Sequence[Logged],
    learned: Sequence[Logged] | None,
    answer: Callable[[Sequence[Question]], list[Scores]],
) -> tuple[Usable, Sample]:
    """asked, learned: of any points; those of others are left out. learned: that the model of the outcome is fitted on,
    apart from `asked`; None: it is cross-fitted on `asked`.

    Raises Refused where the log cannot tell: see `usable`, `supported` and `OutcomeModel.fit`.
    """
    there = usable(point, [example for example in asked if example.point == point.name])
    questions = [example.question for example in there.examples]
    target = greedy(answer(questions))
    if learned is None:
        predicted = cross_fitted(point.schema, there.examples)
    else:
        own = [example for example in learned if example.point == point.name]
        predicted = OutcomeModel.fit(point.schema, own).predict(questions)
    return there, supported(point, there.examples, target, predicted)


def best(scores: Scores) -> int:
    """Number of the candidate; of equal scores the first."""
    return max(range(len(scores)), key=scores.__getitem__)


def greedy(said: Iterable[Scores]) -> list[list[float]]:
    """By question, the probability that the policy takes each candidate: 1 for its best one."""
    return [[float(index == best(scores)) for index in range(len(scores))] for scores in said]
