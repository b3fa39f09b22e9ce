"""What each way to learn from the ledger gains, in a world that has changed under the shipped policy.

    python -m benchmarks.learning [--json] [--method NAME ...] [--decisions N] [--questions N] [--seed N]

Moving a job has become dear, and the shipped policy does not know it. It decides, with a little exploration; a quarter
of the questions goes to an operator, another quarter to an advisor, who know what is right more often than not. From
that one log each method trains a new policy, which then answers fresh questions, as it ships: exported, and run by ONNX
Runtime. REGRET is what its choices cost against the best ones; SAVED is the regret of the policy before less that of
the policy after, as a 95 % interval of the paired bootstrap; SCORE is the method's own measure on decisions that were
held back, and BETTER BY how much it rose. `exact` is GRPO without its sampling: the expected reward over the labels,
whose gradient is known.

Beside them stand models of numbers that are fitted on the same log, and choose what they expect most of. `trees`:
gradient-boosted trees on the rewards of what was taken. `logistic`: multinomial logistic regression on what `sft`
learns from, the answers that came to good, each counting as there. `bandit`: a doubly robust contextual bandit (Dudik,
Langford and Li 2011). Where `trees` see the candidate that was taken alone, and may be wrong of all others, it has a
doubly robust estimate of the reward of every candidate of every decision, and fits trees on all of these; `grpo` has
the same estimates. OVER is a baseline's regret less the method's, as a 95 % interval: above 0 the method is better.

Ends with status 1 where a method has not become better for certain, by its own measure or by regret.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from federation.policy.embedded import Embedded
from federation.policy.tabular import Encoder
from federation.policy.tier import SHIPPED
from tiki.schema import Point
from training.dataset.drift import drifted
from training.dataset.example import Advice, Logged
from training.dataset.simulated import logged
from training.evaluation.bench import Many, each
from training.evaluation.bootstrap import interval
from training.learning import preset as presets
from training.learning import sft
from training.learning.cases import CLIP, Judged
from training.learning.export import export
from training.learning.run import judge, train
from training.ope.outcome import boosted, cross_fitted, doubly_robust, predicting, refitted
from training.policy.baselines import Sheet, fit_linear, tabular
from training.policy.defaults import regret
from training.policy.embedded import batched
from training.scenarios.generate import scenario
from training.scenarios.scenario import Example, Scenario

POINT, ADDED = "urm.resource_pressure", {"migrate": -0.3}
EXPLORED = 0.1
OPERATOR, ADVISOR = 0.25, 0.25  # shares of the questions
SKILL = {"operator": 0.95, "advisor": 0.9}  # shares of their answers that are the best ones
METHODS = ("sft", "dpo", "kto", "grpo", "exact", "distil")
BASELINES = ("trees", "logistic", "bandit")


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


def logistic(point: Point, judged: Judged, seed: int) -> Many:
    random = Random(seed)
    sheets = []
    for split in judged:
        known = [case for case in split if sft.takes(case, None)]
        drawn = random.choices(known, [sft.weight(case) for case in known], k=4 * len(known))
        sheets.append(Sheet(point, [_answered(case.logged) for case in drawn]))
    return each(tabular(point, fit_linear(point, *sheets)))


def bandit(point: Point, log: Sequence[Logged]) -> Many:
    encoder = Encoder(point)
    rows = np.vstack([encoder.rows(one.question) for one in log])
    return predicting(encoder, boosted().fit(rows, np.concatenate(doubly_robust(log, cross_fitted(point, log), CLIP))))


def _answered(logged: Logged) -> Example:
    """As if what was answered were the one right candidate."""
    right = tuple(float(at == logged.choice) for at in range(len(logged.question.candidates)))
    return Example(logged.question, logged.family, right, ())


def measure(methods: Sequence[str], decisions: int, count: int, seed: int) -> dict[str, Any]:
    """methods: of METHODS and BASELINES."""
    world = drifted(scenario(POINT), ADDED)
    point = world.point.schema
    log = log_of(world, list(world.examples("train", decisions)), seed)
    fresh = list(world.examples("test", count, completions=16))
    before = regret(fresh, batched(Embedded(SHIPPED, 1), point))
    found: dict[str, Any] = {"point": POINT, "decisions": decisions, "questions": count, "seed": seed}
    found["before"] = float(before.mean())
    cut = len(log) * 2 // 3
    judged = judge("sft", presets.load("mini"), log[:cut], log[cut:])
    baselines: dict[str, Callable[[], Many]] = {
        "trees": lambda: refitted(point, log),
        "logistic": lambda: logistic(point, judged, seed),
        "bandit": lambda: bandit(point, log),
    }
    after: dict[str, NDArray[np.float64]] = {}
    for name in BASELINES:
        if name in methods:
            after[name] = regret(fresh, baselines[name]())
            found[name] = _saved(before, after[name])
    beside = dict(after)
    with tempfile.TemporaryDirectory() as kept:
        for method in methods:
            if method in METHODS:
                figures = trained(method, judged, seed, Path(kept))
                after[method] = regret(fresh, batched(Embedded(Path(kept) / method, 1), point))
                found[method] = figures | _saved(before, after[method])
    for name, ours in after.items():
        found[name]["over"] = {other: interval(theirs - ours) for other, theirs in beside.items() if other != name}
    if {"grpo", "exact"} <= after.keys():
        found["sampling_saves"] = interval(after["exact"] - after["grpo"])
    return found


def _saved(before: NDArray[np.float64], after: NDArray[np.float64]) -> dict[str, Any]:
    return {"regret": float(after.mean()), "saved": interval(before - after)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--method", action="append", choices=(*METHODS, *BASELINES))
    parser.add_argument("--decisions", type=int, default=3000)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    methods = tuple(options.method or (*BASELINES, *METHODS))
    found = measure(methods, options.decisions, options.questions, options.seed)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        _show(found, methods)
    learned = [found[name] for name in methods if name in METHODS]
    return int(any(one["saved"][0] <= 0 or one["score"][2] <= 0 for one in learned))


def _show(found: dict[str, Any], methods: Sequence[str]) -> None:
    print(f"{found['point']}, {found['decisions']} decisions, regret {found['before']:.4f} before")
    print(f"{'':9}{'REGRET':>8}{'SAVED':>18}{'SCORE':>18}{'BETTER BY':>18}{'STEPS':>6}{'SECONDS':>8}  OVER")
    for name in methods:
        one = found[name]
        told = f"{one['regret']:8.4f}{_between(one['saved']):>18}"
        if name in METHODS:
            before, after, low, high = one["score"]
            told += f"{f'{before:.3f} to {after:.3f}':>18}{_between((low, high)):>18}"
            told += f"{one['steps']:6}{one['seconds']:8.0f}"
        else:
            told += " " * 50
        over = ", ".join(f"{other} {_between(bounds)}" for other, bounds in one["over"].items())
        print(f"{name:9}{told}  {over}")
    if "sampling_saves" in found:
        print(f"sampling saves {_between(found['sampling_saves'])} against the exact gradient")


def _between(bounds: Sequence[float]) -> str:
    return f"{bounds[0]:.4f} to {bounds[1]:.4f}"


if __name__ == "__main__":
    sys.exit(main())
