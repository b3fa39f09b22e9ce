"""What a policy reaches at its decision points, beside what it must beat.

Every contender answers the same questions and is calibrated by the same procedure on the same splits. A question is
right or wrong by what happened, the first completion; regret is what the best candidate of that completion was better
by.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from federation.policy.calibration import PointCalibration
from federation.policy.fitting import Marked, calibrate, confidences
from federation.policy.question import Question, Scores
from training.policy import baselines
from training.policy.baselines import Scorer, Sheet
from training.policy.calibrate import scored
from training.scenarios.scenario import Example, Scenario

BINS = 15
"""Of the calibration error, with the same number of questions each."""
MAX_ERROR = 0.05
"""For specs that set none."""
RESAMPLES = 1000

Many = Callable[[Sequence[Question]], list[Scores]]
"""Answers questions in batches."""


class Figures(msgspec.Struct, frozen=True):
    """accuracy: share that is right of what is decided alone; None where nothing is. coverage: share decided alone.
    ece: expected calibration error of the confidence of all questions. right: share that is right of all choices, alone
    or not. regret: mean of all choices, in the unit of the point."""

    questions: int
    accuracy: float | None
    coverage: float
    ece: float
    right: float
    regret: float


class Beside(Figures, frozen=True):
    """A baseline. Its regret less the policy's, and the policy's coverage less its own, as 95 % intervals of the paired
    bootstrap: above 0 the policy is better."""

    regret_saved: tuple[float, float]
    coverage_won: tuple[float, float]


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds of one question asked alone, with its rendering."""

    p50: float
    p99: float


class Entry(Figures, frozen=True):
    """Of a decision point. best_reachable: share that the best possible policy gets right, from many completions of
    each question. held_out: on the family that nothing was trained, calibrated or chosen on."""

    max_error: float
    unit: str
    best_reachable: float
    latency: Latency
    held_out: Figures
    baselines: dict[str, Beside]


class Overall(Figures, frozen=True):
    """All points, each as many questions. regret: the share that is left of the regret of choosing at random."""

    best_reachable: float
    held_out: Figures
    baselines: dict[str, Beside]


class Judged(NamedTuple):
    """By question: confidence, whether the choice was right, whether it is taken alone, what it cost."""

    sure: NDArray[np.float64]
    right: NDArray[np.bool_]
    alone: NDArray[np.bool_]
    regret: NDArray[np.float64]


def each(scorer: Scorer) -> Many:
    """One question after the other."""
    return lambda questions: [scorer(question) for question in questions]


def judged(
    examples: Sequence[Example], found: Marked, calibration: PointCalibration | None, max_error: float
) -> Judged:
    """Without a calibration nothing is decided alone, and the best probability is the confidence."""
    chosen = found.scores.argmax(axis=1).tolist()
    regret = [max(e.outcomes[0]) - e.outcomes[0][choice] for e, choice in zip(examples, chosen, strict=True)]
    sure = np.exp(found.scores.max(axis=1)) if calibration is None else confidences(calibration, found)
    threshold = None if calibration is None else calibration.threshold(max_error)
    alone = np.zeros(len(sure), dtype=bool) if threshold is None else sure >= threshold
    return Judged(sure, found.chosen(), alone, np.array(regret))


def figures(of: Judged) -> Figures:
    return Figures(**_figures(of))


def _figures(of: Judged) -> dict[str, Any]:
    alone = int(of.alone.sum())
    return {
        "questions": len(of.right),
        "accuracy": float(of.right[of.alone].mean()) if alone else None,
        "coverage": alone / len(of.right),
        "ece": calibration_error(of.sure, of.right),
        "right": float(of.right.mean()),
        "regret": float(of.regret.mean()),
    }


def calibration_error(sure: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """The mean distance of confidence and share that is right over BINS bins of equal mass (Naeini et al. 2015, with
    equal mass as in Nixon et al. 2019)."""
    parts = [part for part in np.array_split(np.argsort(sure, kind="stable"), BINS) if len(part)]
    return float(sum(abs(sure[part].mean() - right[part].mean()) * len(part) for part in parts) / len(sure))


def interval(differences: NDArray[np.float64], seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile interval of the mean of paired differences (Efron and Tibshirani 1993)."""
    random = np.random.default_rng(seed)
    count = len(differences)
    means = [differences[random.integers(0, count, count)].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def beside(baseline: Judged, policy: Judged) -> Beside:
    return Beside(
        **_figures(baseline),
        regret_saved=interval(baseline.regret - policy.regret),
        coverage_won=interval(policy.alone.astype(float) - baseline.alone),
    )


class Bench:
    """One decision point: its questions, and who answers them. train: questions for the baselines that learn; 0 leaves
    the logistic and the tree baseline out. count: questions of each split that is calibrated and tested on."""

    def __init__(self, scenario: Scenario, count: int, train: int) -> None:
        self.scenario = scenario
        self.point = scenario.point.schema
        limit = scenario.program.max_error
        self.max_error = MAX_ERROR if limit is None else limit / 100
        self.splits = {
            name: list(scenario.examples(name, count, completions=None if name == "test" else 1))
            for name in ("temperature", "threshold", "test", "held_out")
        }
        self._train = list(scenario.examples("train", train or count))
        self._learned = bool(train)

    def scored(self, split: str, answer: Many) -> Marked:
        examples = self.splits[split]
        return scored(examples, answer([e.question for e in examples]), self.scenario.world.epsilon)

    def calibrated(self, answer: Many) -> PointCalibration:
        return calibrate(self.scored("temperature", answer), self.scored("threshold", answer), self.point.version)

    def contest(self, answer: Many, calibration: PointCalibration | None) -> tuple[Judged, Judged]:
        """On `test` and on `held_out`."""
        test, held_out = (
            judged(self.splits[name], self.scored(name, answer), calibration, self.max_error)
            for name in ("test", "held_out")
        )
        return test, held_out

    def baselines(self) -> Iterator[tuple[str, Scorer]]:
        yield "random", baselines.chance()
        yield "majority", baselines.majority(self._train)
        yield "rule_only", baselines.rules(self.scenario.world)
        if self._learned:
            validation = list(self.scenario.examples("validation", max(len(self._train) // 4, 1)))
            sheets = Sheet(self.point, self._train), Sheet(self.point, validation)
            yield "logistic", baselines.tabular(self.point, baselines.fit_linear(self.point, *sheets))
            yield "trees", baselines.tabular(self.point, baselines.fit_trees(*sheets))

    def best_reachable(self) -> float:
        return float(np.mean([max(example.right) for example in self.splits["test"]]))


class Result(NamedTuple):
    """Of one point. held_out, policy: as judged. against: the baselines, by name, each on `test` and on `held_out`."""

    bench: Bench
    policy: Judged
    held_out: Judged
    against: Mapping[str, tuple[Judged, Judged]]
    latency: Latency

    def entry(self) -> Entry:
        return Entry(
            **_figures(self.policy),
            max_error=self.bench.max_error,
            unit=self.bench.scenario.point.outcome.unit,
            best_reachable=self.bench.best_reachable(),
            latency=self.latency,
            held_out=figures(self.held_out),
            baselines={name: beside(test, self.policy) for name, (test, _) in self.against.items()},
        )


def overall(results: Sequence[Result]) -> Overall:
    policy = _pooled([(r, r.policy) for r in results])
    against = {name: _pooled([(r, r.against[name][0]) for r in results]) for name in results[0].against}
    return Overall(
        **_figures(policy),
        best_reachable=float(np.mean([r.bench.best_reachable() for r in results])),
        held_out=figures(_pooled([(r, r.held_out) for r in results], held_out=True)),
        baselines={name: beside(one, policy) for name, one in against.items()},
    )


def _pooled(parts: Sequence[tuple[Result, Judged]], *, held_out: bool = False) -> Judged:
    """Regrets of points have different units, so each is taken as a share of the mean of choosing at random there."""
    scales = [max(float(r.against["random"][held_out].regret.mean()), 1e-12) for r, _ in parts]
    return Judged(
        np.concatenate([one.sure for _, one in parts]),
        np.concatenate([one.right for _, one in parts]),
        np.concatenate([one.alone for _, one in parts]),
        np.concatenate([one.regret / scale for (_, one), scale in zip(parts, scales, strict=True)]),
    )
