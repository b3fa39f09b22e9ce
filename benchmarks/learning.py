"""What each way to learn from the ledger gains, in a world that has changed under the shipped policy.

    python -m benchmarks.learning [--json] [--method NAME ...] [--decisions N] [--questions N] [--seed N]

Moving a job has become dear, and the shipped policy does not know it. It decides, with a little exploration; a quarter
of the questions goes to an operator, another quarter to an advisor, who know what is right more often than not. From
that one log each method trains a new policy, which then answers fresh questions, as it ships: exported, and run by ONNX
Runtime. REGRET is what its choices cost against the best ones; SAVED is the regret of the policy before less that of
the policy after, as a 95 % interval of the paired bootstrap; SCORE is the method's own measure on decisions that were
held back, and BETTER BY how much it rose. `exact` is GRPO without its sampling: the expected reward over the labels,
whose gradient is known. `trees` are gradient-boosted trees on the rewards of the same log.

Ends with status 1 where a method has not become better for certain, by its own measure or by regret.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from federation.policy.embedded import Embedded
from federation.policy.question import Question, Scores
from federation.policy.tabular import Encoder
from federation.policy.tier import SHIPPED
from training.dataset.drift import drifted
from training.dataset.example import Advice, Logged
from training.dataset.simulated import logged
from training.learning import preset as presets
from training.learning.export import export
from training.learning.run import Judged, judge, train
from training.ope.outcome import Trees
from training.policy.defaults import regret
from training.policy.embedded import batched
from training.policy.evaluate import interval
from training.scenarios.generate import scenario
from training.scenarios.scenario import Example, Scenario

POINT, ADDED = "urm.resource_pressure", {"migrate": -0.3}
EXPLORED = 0.1
OPERATOR, ADVISOR = 0.25, 0.25  # shares of the questions
SKILL = {"operator": 0.95, "advisor": 0.9}  # shares of their answers that are the best ones
METHODS = ("sft", "dpo", "kto", "grpo", "exact", "distil")


def log_of(scenario: Scenario, examples: Sequence[Example], seed: int) -> list[Logged]:
    """What was decided of these questions by the shipped policy, an operator and an advisor."""
    engine = Embedded(SHIPPED, 1)
    by_policy = logged(scenario, examples, batched(engine, scenario.point.schema), EXPLORED, seed, engine.version)
    random = Random(seed)
    found = []
    for example, decided in zip(examples, by_policy, strict=True):
        draw, luck = random.random(), random.random()
        tier = "operator" if draw < OPERATOR else "advisor" if draw < OPERATOR + ADVISOR else ""
        found.append(_above(example, decided, tier, luck, random) if tier else decided)
    return found


def _above(example: Example, decided: Logged, tier: str, luck: float, random: Random) -> Logged:
    best = max(range(len(example.right)), key=example.right.__getitem__)
    choice = best if luck < SKILL[tier] else random.randrange(len(example.right))
    advice = Advice("simulated", choice, SKILL[tier]) if tier == "advisor" else None
    reward = example.outcomes[0][choice]
    return msgspec.structs.replace(decided, tier=tier, choice=choice, propensities=(), advice=advice, reward=reward)


def trained(method: str, judged: Judged, seed: int, folder: Path) -> dict[str, Any]:
    preset = presets.load("mini")
    course = preset.grpo.model_copy(update={"exact": method == "exact"})
    preset = preset.model_copy(update={"seed": seed, "grpo": course})
    name = "grpo" if method == "exact" else method
    began = time.perf_counter()
    made = train(name, preset, SHIPPED, judged, folder / f"{method}.run", lambda seen: None)
    took = time.perf_counter() - began
    points = {POINT: scenario(POINT).point.schema.version}
    export(folder / method, SHIPPED, made, preset={"method": name}, data={}, points=points, metrics={})
    score = interval((made.after - made.before).double().numpy())
    return {
        "examples": made.train,
        "steps": made.steps,
        "seconds": took,
        "score": [float(made.before.mean()), float(made.after.mean()), *score],
    }


def trees(scenario: Scenario, log: Sequence[Logged], questions: Sequence[Question]) -> list[Scores]:
    """The predicted rewards, by trees refitted on the log."""
    encoder = Encoder(scenario.point.schema)
    rows = np.vstack([encoder.rows(one.question)[one.choice] for one in log])
    model = Trees(15, 0.1, 100).fit(rows, np.array([one.reward for one in log], float))
    return [tuple(model.predict(encoder.rows(question)).tolist()) for question in questions]


def measure(methods: Sequence[str], decisions: int, count: int, seed: int) -> dict[str, Any]:
    world = drifted(scenario(POINT), ADDED)
    log = log_of(world, list(world.examples("train", decisions)), seed)
    fresh = list(world.examples("test", count, completions=16))
    before = regret(fresh, batched(Embedded(SHIPPED, 1), world.point.schema))
    found: dict[str, Any] = {"point": POINT, "decisions": decisions, "questions": count, "seed": seed}
    found["before"] = float(before.mean())
    by_trees = regret(fresh, lambda questions: trees(world, log, questions))
    found["trees"] = _saved(before, by_trees)
    after: dict[str, NDArray[np.float64]] = {}
    cut = len(log) * 2 // 3
    judged = judge("sft", presets.load("mini"), log[:cut], log[cut:])
    with tempfile.TemporaryDirectory() as kept:
        for method in methods:
            figures = trained(method, judged, seed, Path(kept))
            answer = batched(Embedded(Path(kept) / method, 1), world.point.schema)
            after[method] = regret(fresh, answer)
            found[method] = (
                figures | _saved(before, after[method]) | {"against_trees": interval(by_trees - after[method])}
            )
    if {"grpo", "exact"} <= after.keys():
        found["sampling_saves"] = interval(after["exact"] - after["grpo"])
    return found


def _saved(before: NDArray[np.float64], after: NDArray[np.float64]) -> dict[str, Any]:
    return {"regret": float(after.mean()), "saved": interval(before - after)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--method", action="append", choices=METHODS)
    parser.add_argument("--decisions", type=int, default=3000)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    methods = tuple(options.method or METHODS)
    found = measure(methods, options.decisions, options.questions, options.seed)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        _show(found, methods)
    return int(any(found[name]["saved"][0] <= 0 or found[name]["score"][2] <= 0 for name in methods))


def _show(found: dict[str, Any], methods: Sequence[str]) -> None:
    print(f"{found['point']}, {found['decisions']} decisions, regret {found['before']:.4f} before")
    print(f"{'':8}{'REGRET':>9}{'SAVED':>20}{'SCORE':>20}{'BETTER BY':>20}{'STEPS':>7}{'SECONDS':>9}")
    print(f"{'trees':8}{found['trees']['regret']:9.4f}{_between(found['trees']['saved']):>20}")
    for name in methods:
        one = found[name]
        before, after, low, high = one["score"]
        print(
            f"{name:8}{one['regret']:9.4f}{_between(one['saved']):>20}{f'{before:.3f} to {after:.3f}':>20}"
            f"{_between((low, high)):>20}{one['steps']:7}{one['seconds']:9.0f}"
        )
    if "sampling_saves" in found:
        print(f"sampling saves {_between(found['sampling_saves'])} against the exact gradient")


def _between(bounds: Sequence[float]) -> str:
    return f"{bounds[0]:.4f} to {bounds[1]:.4f}"


if __name__ == "__main__":
    sys.exit(main())
