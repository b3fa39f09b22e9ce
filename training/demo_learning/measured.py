"""How good policies are in the world as it has become, on questions that nobody was asked yet."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from federation.policy.calibration import PointCalibration
from federation.policy.embedded import Embedded
from federation.policy.question import Question, Scores
from federation.policy.tabular import Encoder
from training.dataset.example import Logged
from training.demo_learning.findings import MAX_ERROR, Regret
from training.evaluation.bootstrap import interval
from training.ope.outcome import Trees
from training.policy.defaults import regret
from training.policy.embedded import batched
from training.scenarios.scenario import Scenario

FRESH = 1500
COMPLETIONS = 16


def trees(scenario: Scenario, log: Sequence[Logged]) -> Callable[[Sequence[Question]], list[Scores]]:
    """Gradient-boosted trees on the rewards of the same decisions: they choose what they predict the best of."""
    encoder = Encoder(scenario.point.schema)
    known = [one for one in log if one.reward is not None]
    rows = np.vstack([encoder.rows(one.question)[one.choice] for one in known])
    model = Trees(15, 0.1, 100).fit(rows, np.array([one.reward for one in known], float))
    return lambda questions: [tuple(model.predict(encoder.rows(question)).tolist()) for question in questions]


def compared(scenario: Scenario, before: Path, after: Path, log: Sequence[Logged]) -> Regret:
    """before, after: folders of policies. log: what the new one learned from."""
    fresh = list(scenario.examples("test", FRESH, completions=COMPLETIONS))
    old, new = Embedded(before, 1), Embedded(after, 1)
    first = regret(fresh, batched(old, scenario.point.schema))
    second = regret(fresh, batched(new, scenario.point.schema))
    beside = regret(fresh, trees(scenario, log))
    for engine in (old, new):
        asyncio.run(engine.close())
    return Regret(
        float(first.mean()),
        float(second.mean()),
        float(beside.mean()),
        interval(first - second),
        interval(beside - second),
    )


def promised(scenario: Scenario, folder: Path, known: PointCalibration | None) -> tuple[float, float]:
    """The share of fresh questions that a policy would decide alone, and of these the share that is wrong by what
    usually comes of it."""
    fresh = list(scenario.examples("test", FRESH, completions=COMPLETIONS))
    engine = Embedded(folder, 1)
    answers = batched(engine, scenario.point.schema)([one.question for one in fresh])
    asyncio.run(engine.close())
    wrong = []
    for example, scores in zip(fresh, answers, strict=True):
        if known is None:
            break
        choice, confidence, threshold, _ = known.weigh(scenario.point.name, scores, MAX_ERROR)
        if threshold is not None and confidence >= threshold:
            usually = np.array(example.outcomes).mean(axis=0)
            wrong.append(bool(usually[choice] < usually.max() - scenario.world.epsilon))
    return len(wrong) / len(fresh), float(np.mean(wrong)) if wrong else 0.0
