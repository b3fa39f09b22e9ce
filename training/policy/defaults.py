"""Which points a tabular model answers better than the policy that reads text: it is the default there.

Chosen on the split `validation`, so that no figure of `elias policy evaluate` has seen the choice.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from federation.policy import calibration
from federation.policy.fitting import of_policy
from federation.policy.tabular import SUFFIX, Model, Table, Tabular
from training.evaluation.bench import Many, each
from training.evaluation.bootstrap import interval
from training.policy.baselines import Sheet, fit_linear, fit_trees, tabular
from training.policy.calibrate import scored
from training.scenarios.scenario import Example, Scenario


class Winner(NamedTuple):
    """saved: of the policy's regret less the model's, the 95 % interval of the paired bootstrap; above 0."""

    model: Model
    saved: tuple[float, float]


def winner(scenario: Scenario, policy: Many, train: int, count: int) -> Winner | None:
    """The model that is better than the policy at a point, of the two that learn the one with less regret; None: the
    policy is not beaten. train, count: questions to learn from, and to choose by."""
    point = scenario.point.schema
    learned, chosen = (list(scenario.examples(*split)) for split in (("train", train), ("validation", count)))
    sheets = Sheet(point, learned), Sheet(point, chosen)
    models: tuple[Model, ...] = fit_linear(point, *sheets), fit_trees(*sheets)
    ours = regret(chosen, policy)
    regrets = [(model, regret(chosen, each(tabular(point, model)))) for model in models]
    model, theirs = min(regrets, key=lambda pair: float(pair[1].mean()))
    saved = interval(ours - theirs)
    return Winner(model, saved) if saved[0] > 0 else None


def regret(examples: Sequence[Example], answer: Many) -> NDArray[np.float64]:
    """By question: what the likeliest candidate costs against the best one, on average over the completions."""
    scores = answer([example.question for example in examples])
    costs = []
    for example, said in zip(examples, scores, strict=True):
        outcomes = np.array(example.outcomes)
        costs.append(float((outcomes.max(axis=1) - outcomes[:, int(np.argmax(said))]).mean()))
    return np.array(costs)


def keep(folder: Path, scenarios: Mapping[str, Scenario], models: Mapping[str, Model], data: str, count: int) -> None:
    """Writes the models of the points that they are the default of, and their calibration. data: digest of what made
    the questions. count: questions of each of the two splits that are calibrated on."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"*{SUFFIX}"):
        old.unlink()
    for name, model in models.items():
        table = Table(name, scenarios[name].point.schema.version, data, model)
        (folder / f"{name}{SUFFIX}").write_bytes(msgspec.json.encode(table) + b"\n")
    kept = Tabular(folder)
    points = {}
    for name, model in models.items():
        scenario = scenarios[name]
        point = scenario.point.schema
        answer = each(tabular(point, model))
        splits = [list(scenario.examples(split, count, completions=1)) for split in ("temperature", "threshold")]
        fitting, testing = (scored(e, answer([x.question for x in e]), scenario.world.epsilon) for e in splits)
        points[name] = point.version, fitting, testing
    calibration.save(of_policy(kept.version, data, points), folder / "calibration.json")
