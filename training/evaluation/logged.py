"""Policies on decisions of a data set: what can be said of them without knowing what was best.

Right is what an advisor or an operator answered. These decisions are no fair sample: most of them went up because the
policy of the time was not sure of them, so the figures are of the hard questions, and lower than they would be on all.
What the policy would have reached is estimated from the decisions that a policy took alone.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from federation.errors import Refused
from federation.points import DecisionPoint
from federation.policy.fitting import marked
from training.dataset.example import CHOSEN_BY_POLICY, Logged
from training.dataset.store import DataSet
from training.evaluation.bench import answers, figured, weighed
from training.evaluation.bootstrap import Judged, Numbers, pooled
from training.evaluation.contender import Contender
from training.evaluation.result import AtPoint, Evaluation, Reached, Refusal, Source, Worth
from training.ope import estimators
from training.ope.target import of_policy, parts


def measure(
    contenders: Sequence[Contender],
    data: DataSet,
    points: Mapping[str, DecisionPoint],
    split: str,
    max_error: float,
    at: str,
    shown: Callable[[int, int], None],
) -> list[Evaluation]:
    """One of each contender. points: by name; those without a decision in the split are left out. split: `test`, or
    `all` for policies that learned nothing from this data set. at: the time, RFC 3339."""
    asked, learned = parts(data, split)
    names = sorted({one.point for one in asked} & points.keys())
    found: list[dict[str, _At]] = [{} for _ in contenders]
    for done, name in enumerate(names):
        shown(done, len(names))
        for contender, results in zip(contenders, found, strict=True):
            results[name] = _At(contender, points[name], asked, learned, max_error)
    source = Source("logged", data.digest, split, 0)
    return [_made(contender, source, at, results) for contender, results in zip(contenders, found, strict=True)]


class _At:
    """One contender at one point. judged: on what was answered from above."""

    judged: Judged
    took: Numbers
    read: Numbers
    entry: AtPoint

    def __init__(
        self,
        contender: Contender,
        point: DecisionPoint,
        asked: Sequence[Logged],
        learned: Sequence[Logged] | None,
        max_error: float,
    ) -> None:
        own = [one for one in asked if one.point == point.name]
        above = [one for one in own if one.tier != CHOSEN_BY_POLICY]
        answer = contender.answers(point.schema)
        scores = answer([one.question for one in above])
        truth = [[at == one.choice for at in range(len(one.question.candidates))] for one in above]
        self.judged = weighed(marked(scores, truth), contender.points.get(point.name), max_error)
        questions = [one.question for one in own]
        self.took, self.read = contender.took(point.schema, questions), contender.read(point.schema, questions)
        worth, refused = _worth(contender, point, own, learned)
        tiers = np.array([one.tier for one in above])
        self.entry = AtPoint(
            **figured(self.judged, self.took, self.read),
            max_error=max_error,
            unit=point.outcome.unit,
            worth=worth,
            refused=refused,
            agreed={tier: float(self.judged.right[tiers == tier].mean()) for tier in sorted(set(tiers.tolist()))},
        )


def _worth(
    contender: Contender, point: DecisionPoint, own: Sequence[Logged], learned: Sequence[Logged] | None
) -> tuple[Worth | None, Refusal | None]:
    try:
        there, sample = of_policy(point, own, learned, contender.answers(point.schema))
    except Refused as refused:
        return None, Refusal(refused.code, refused.message, refused.cure)
    return Worth(
        decisions=len(there.examples),
        effective=sample.effective(),
        logged=estimators.logged(sample),
        doubly_robust=estimators.estimate("dr", sample),
        gain=estimators.gain(sample),
        each=estimators.corrected(sample).tolist(),
    ), None


def _made(contender: Contender, source: Source, at: str, results: Mapping[str, _At]) -> Evaluation:
    each = list(results.values())
    every = pooled([one.judged for one in each], [1.0] * len(each))
    took, read = (np.concatenate(parts) for parts in ([one.took for one in each], [one.read for one in each]))
    return contender.evaluation(
        source,
        at,
        Reached(**figured(every, took, read)),
        {name: one.entry for name, one in results.items()},
        {name: answers(one.judged) for name, one in results.items()},
    )
