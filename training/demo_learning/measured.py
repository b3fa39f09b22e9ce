"""How good policies are in the world as it has become, on questions that nobody was asked yet."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from federation.policy.calibration import PointCalibration
from federation.policy.embedded import Embedded
from training.dataset.example import Logged
from training.demo_learning.findings import MAX_ERROR, Regret
from training.evaluation.bootstrap import interval
from training.ope.outcome import refitted
from training.policy.defaults import regret
from training.policy.embedded import batched
from training.scenarios.scenario import Scenario

FRESH = 1500
COMPLETIONS = 16


def compared(scenario: Scenario, before: Path, after: Path, log: Sequence[Logged]) -> Regret:
    """before, after: folders of policies. log: what the new one learned from."""
    fresh = list(scenario.examples("test", FRESH, completions=COMPLETIONS))
    old, new = Embedded(before, 1), Embedded(after, 1)
    first = regret(fresh, batched(old, scenario.point.schema))
    second = regret(fresh, batched(new, scenario.point.schema))
    beside = regret(fresh, refitted(scenario.point.schema, log))
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
