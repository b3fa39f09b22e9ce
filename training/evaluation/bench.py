"""What a policy reaches at its decision points in the simulated world, beside what it must beat.

Every contender answers the same questions and is calibrated by the same procedure on the same splits. A question is
right or wrong by what happened, the first completion; regret is what the best candidate of that completion was better
by.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from federation.policy.calibration import PointCalibration
from federation.policy.fitting import Marked, calibrate, confidences
from federation.policy.question import Question, Scores
from training.evaluation.bootstrap import Judged, Numbers, estimated, interval, intervals, of_median, pooled
from training.evaluation.result import Answers, AtPoint, Beside, Figures, Latency, Reached, Tokens
from training.policy import baselines
from training.policy.baselines import Scorer, Sheet
from training.policy.calibrate import scored
from training.scenarios.scenario import Example, Scenario

MAX_ERROR = 0.05
"""For specs that set none."""

Many = Callable[[Sequence[Question]], list[Scores]]
"""Answers questions in batches."""


def each(scorer: Scorer) -> Many:
    """One question after the other."""
    return lambda questions: [scorer(question) for question in questions]


def judged(
    examples: Sequence[Example], found: Marked, calibration: PointCalibration | None, max_error: float
) -> Judged:
    chosen = found.scores.argmax(axis=1).tolist()
    regret = [max(e.outcomes[0]) - e.outcomes[0][choice] for e, choice in zip(examples, chosen, strict=True)]
    return weighed(found, calibration, max_error)._replace(regret=np.array(regret))


def weighed(found: Marked, calibration: PointCalibration | None, max_error: float) -> Judged:
    """Whose regret is not known. Without a calibration nothing is decided alone, and the best probability is the
    confidence."""
    sure = np.exp(found.scores.max(axis=1)) if calibration is None else confidences(calibration, found)
    threshold = None if calibration is None else calibration.threshold(max_error)
    alone = np.zeros(len(sure), dtype=bool) if threshold is None else sure >= threshold
    return Judged(sure, found.chosen(), alone, np.full(len(sure), np.nan))


def figures(of: Judged) -> Figures:
    return Figures(**figured(of))


def figured(of: Judged, took: Numbers | None = None, read: Numbers | None = None) -> dict[str, Any]:
    """The fields of `Figures`, and of latency and tokens where these were measured. took, read: as in `Result`."""
    found: dict[str, Any] = {name: None if np.isnan(value) else value for name, value in estimated(of).items()}
    reach = intervals(of)
    if took is not None and len(took):
        found["latency"] = Latency(*np.quantile(took, (0.5, 0.99)).tolist())
        reach["latency"] = of_median(took)
    if read is not None and len(read):
        found["tokens"] = Tokens(float(read.mean()), int(read.max()))
        reach["tokens"] = interval(read)
    return {"questions": len(of.sure), **found, "intervals": reach}


def answers(of: Judged, scale: float = 1.0) -> Answers:
    """scale: what choosing at random costs."""
    regret = of.regret.tolist() if np.isfinite(of.regret).all() else []
    return Answers(sure=of.sure.tolist(), right=of.right.tolist(), alone=of.alone.tolist(), regret=regret, scale=scale)


def beside(baseline: Judged, policy: Judged) -> Beside:
    return Beside(
        **figured(baseline),
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
    """Of one policy at one point. held_out, policy: as judged. against: the baselines, by name, each on `test` and on
    `held_out`. took: milliseconds of questions that were asked alone. read: tokens, by question."""

    bench: Bench
    policy: Judged
    held_out: Judged
    against: Mapping[str, tuple[Judged, Judged]]
    took: Numbers
    read: Numbers

    def entry(self) -> AtPoint:
        return AtPoint(
            **figured(self.policy, self.took, self.read),
            max_error=self.bench.max_error,
            unit=self.bench.scenario.point.outcome.unit,
            best_reachable=self.bench.best_reachable(),
            held_out=figures(self.held_out),
            baselines={name: beside(test, self.policy) for name, (test, _) in self.against.items()},
        )

    def scale(self, *, held_out: bool = False) -> float:
        """What choosing at random costs."""
        return max(float(self.against["random"][held_out].regret.mean()), 1e-12)


def overall(results: Sequence[Result]) -> Reached:
    policy = pooled([r.policy for r in results], [r.scale() for r in results])
    held_out = pooled([r.held_out for r in results], [r.scale(held_out=True) for r in results])
    against = {
        name: pooled([r.against[name][0] for r in results], [r.scale() for r in results]) for name in results[0].against
    }
    return Reached(
        **figured(policy, np.concatenate([r.took for r in results]), np.concatenate([r.read for r in results])),
        best_reachable=float(np.mean([r.bench.best_reachable() for r in results])),
        held_out=figures(held_out),
        baselines={name: beside(one, policy) for name, one in against.items()},
    )
