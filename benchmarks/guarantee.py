"""The promise of the shipped policy, held against redraws of the data that it was calibrated on.

    python -m benchmarks.guarantee [--json] [--policy DIR] [--redraws 500] [--questions 800]

For each decision point the policy answers many questions that it was not trained on. Each redraw takes QUESTIONS of
them to fit the confidence, as many others to test the thresholds, and ten times as many others to judge by; it
calibrates, and looks whether more than `max_error` of what would be decided alone is wrong. All redraws share the pool.
Ends with status 1 where more of them break the promise than chance does once in 1,000 such benchmarks.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binom

from benchmarks.machine import machine
from federation.policy.calibration import CONFIDENCE
from federation.policy.embedded import Embedded
from federation.policy.fitting import Marked, calibrate, confidences
from federation.policy.question import Scores
from federation.policy.rendering import render
from federation.policy.tier import SHIPPED
from training.evaluation.bench import MAX_ERROR
from training.policy.calibrate import scored
from training.scenarios.generate import points, scenario
from training.scenarios.scenario import Example

JUDGED = 10  # times as many as the thresholds are tested on
BATCH = 64


@dataclass(frozen=True)
class Kept:
    """broken: redraws in which more than max_error were wrong. silent: in which nothing may be decided alone. coverage,
    error: mean share decided alone, and mean share of that which is wrong, over the others."""

    point: str
    max_error: float
    redraws: int
    broken: int
    silent: int
    coverage: float
    error: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--policy", type=Path, default=SHIPPED)
    parser.add_argument("--redraws", type=int, default=500)
    parser.add_argument("--questions", type=int, default=800)
    options = parser.parse_args()
    most = int(binom.ppf(0.999, options.redraws, 1 - CONFIDENCE))
    engine = Embedded(options.policy)
    found = [asyncio.run(held(engine, name, options.redraws, options.questions)) for name in points()]
    if options.json:
        print(json.dumps({"machine": machine(), "most": most, "points": [asdict(one) for one in found]}))
    else:
        for one in found:
            print(
                f"{one.point:24} max_error {one.max_error:.0%}: broken in {one.broken} of {one.redraws}, silent in "
                f"{one.silent}; alone {one.coverage:.1%}, of these wrong {one.error:.2%}"
            )
        print(f"promised: at most {1 - CONFIDENCE:.0%} broken; chance exceeds {most} once in 1,000")
    return int(any(one.broken > most for one in found))


async def held(engine: Embedded, name: str, redraws: int, questions: int) -> Kept:
    world = scenario(name)
    examples = list(world.examples("test", (2 + JUDGED) * questions, completions=1))
    pool = scored(examples, await _said(engine, name, examples), world.world.epsilon)
    limit = MAX_ERROR if world.program.max_error is None else world.program.max_error / 100
    random = np.random.default_rng(0)
    broken, errors, coverages = 0, [], []
    for _ in range(redraws):
        order = random.permutation(len(examples))
        fitting, testing, judged = (
            Marked(pool.scores[part], pool.right[part]) for part in np.split(order, (questions, 2 * questions))
        )
        calibration = calibrate(fitting, testing, world.point.schema.version)
        threshold = calibration.threshold(limit)
        if threshold is None:
            continue
        alone = confidences(calibration, judged) >= threshold
        error = float(1 - judged.chosen()[alone].mean()) if alone.any() else 0.0
        broken += error > limit
        errors.append(error)
        coverages.append(float(alone.mean()))
    silent = redraws - len(errors)
    return Kept(name, limit, redraws, broken, silent, _mean(coverages), _mean(errors))


async def _said(engine: Embedded, name: str, examples: Sequence[Example]) -> list[Scores]:
    prompts = [render(scenario(name).point.schema, example.question) for example in examples]
    parts = [prompts[at : at + BATCH] for at in range(0, len(prompts), BATCH)]
    return [scores for part in parts for scores in await engine.score(part, 60.0)]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


if __name__ == "__main__":
    sys.exit(main())
