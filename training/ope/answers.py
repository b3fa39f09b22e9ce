"""What a policy gains over another one by what people and advisors answered, for where the log cannot tell.

Off-policy estimates need decisions that a policy took by chance. Of a point that has gone up a tier, because its policy
keeps its promise no more, there are none: the better the audit, the fewer. But then every question has an answer.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np

from federation.policy.question import Question, Scores
from tiki.schema import Point
from training.dataset.example import Logged
from training.dataset.store import DataSet
from training.ope.estimators import Estimate, Numbers, interval
from training.ope.target import best
from training.policy.answered import answers, right

LEAST = 100
"""Answers, as few as the effective decisions of an off-policy estimate."""

Answer = Callable[[Sequence[Question]], list[Scores]]


class Agreement(msgspec.Struct, frozen=True):
    """decisions: with an answer of a person or an advisor. right, before: shares of them at which the policy, and the
    one it is compared with, choose as was answered. gain: of right over before."""

    decisions: int
    right: float
    before: float
    gain: Estimate


def agreement(
    point: Point, answered: Iterable[DataSet], learned: str, after: Answer, before: Answer
) -> Agreement | None:
    """None: there are too few answers. learned: digest of the data set that the policy learned from, of which the split
    `test` alone counts. Only those answers are used that together are a fair sample of the questions of their time."""
    held = answers(answered, learned, point)
    asked = held.test + held.fresh
    if len(asked) < LEAST:
        return None
    questions = [example.question for example in asked]
    new, old = (_right(each(questions), asked) for each in (after, before))
    return Agreement(len(asked), float(new.mean()), float(old.mean()), interval(new - old))


def _right(said: Sequence[Scores], asked: Sequence[Logged]) -> Numbers:
    return np.array([float(right(one)[best(scores)]) for scores, one in zip(said, asked, strict=True)])
