"""Whether the intervals of off-policy evaluation cover the truth as often as they say.

    python -m benchmarks.ope [--json] [--runs 400] [--decisions 4000] [--setting NAME] [--seed 0]

Each run draws decisions of a synthetic world of which the truth is known, logs what one policy did there with its
propensities, fits a model of the outcome to the log, each fifth by the others, and estimates what another policy
would have reached. Ends with status 1 where the share of the runs whose 95 % interval holds the truth is outside 93
to 97 % by more than chance explains.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from benchmarks.machine import machine
from training.ope.estimators import ESTIMATORS, Name, Sample, estimate

Numbers = NDArray[np.float64]

ACTIONS = 4
FEATURES = 3
WANTED = (0.93, 0.97)
_TRUTH = 400_000  # situations over which the truth is averaged


@dataclass(frozen=True)
class Setting:
    """explore: share of the logged decisions that is spread evenly; small: heavy weights. agrees: how alike the two
    policies are, 0 to 1. skewed: rewards are mostly small and seldom large. blind: the model of the outcome sees the
    action alone."""

    explore: float
    agrees: float = 0.5
    skewed: bool = False
    blind: bool = False


SETTINGS = {
    "mild": Setting(explore=0.4),
    "skewed rewards": Setting(explore=0.3, skewed=True),
    "heavy weights": Setting(explore=0.08),
    "wrong model": Setting(explore=0.3, blind=True),
    "heavy weights, wrong model": Setting(explore=0.12, blind=True),
}


@dataclass(frozen=True)
class Covered:
    """share: of the runs whose interval holds the truth; low, high: its exact 95 % interval. over: of those whose
    interval lies wholly above the truth. bias: mean error; width: mean width of the interval; deviation: of the
    estimate over the runs. effective: mean effective decisions."""

    setting: str
    estimator: str
    runs: int
    share: float
    low: float
    high: float
    over: float
    bias: float
    width: float
    deviation: float
    effective: float

    def kept(self) -> bool:
        return self.low <= WANTED[1] and self.high >= WANTED[0]


class World:
    """Situations with FEATURES numbers each; the expected reward of an action bends with them."""

    def __init__(self, setting: Setting, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.setting = setting
        self._slopes = random.normal(0, 1, (FEATURES, ACTIONS))
        self._target = random.normal(0, 1.5, (FEATURES, ACTIONS))
        self._logging = setting.agrees * self._target + (1 - setting.agrees) * random.normal(
            0, 1.5, (FEATURES, ACTIONS)
        )

    def situations(self, count: int, random: np.random.Generator) -> Numbers:
        return random.normal(0, 1, (count, FEATURES))

    def expected(self, situations: Numbers) -> Numbers:
        return np.asarray(1 / (1 + np.exp(-situations @ self._slopes)))

    def target(self, situations: Numbers) -> Numbers:
        return _softmax(situations @ self._target)

    def logging(self, situations: Numbers) -> Numbers:
        greedy = np.eye(ACTIONS)[(situations @ self._logging).argmax(axis=1)]
        return np.asarray((1 - self.setting.explore) * greedy + self.setting.explore / ACTIONS)

    def truth(self) -> float:
        situations = self.situations(_TRUTH, np.random.default_rng(1 << 40))
        return float((self.target(situations) * self.expected(situations)).sum(axis=1).mean())

    def rewards(self, expected: Numbers, random: np.random.Generator) -> Numbers:
        if self.setting.skewed:  # of mean `expected`, a few of them many times that
            return np.asarray(expected * random.lognormal(-0.5, 1, len(expected)))
        return np.asarray((random.random(len(expected)) < expected).astype(float))

    def sample(self, count: int, random: np.random.Generator) -> Sample:
        situations = self.situations(count, random)
        logging = self.logging(situations)
        taken = (logging.cumsum(axis=1) > random.random((count, 1))).argmax(axis=1)
        rewards = self.rewards(self.expected(situations)[np.arange(count), taken], random)
        predicted = self._predicted(situations, taken, rewards)
        return Sample(taken, rewards, logging, self.target(situations), predicted)

    def _predicted(self, situations: Numbers, taken: NDArray[np.int64], rewards: Numbers, folds: int = 5) -> Numbers:
        """Of each fifth by a linear model for each action, fitted on the others."""
        inputs = np.ones((len(taken), 1)) if self.setting.blind else np.column_stack([np.ones(len(taken)), situations])
        found = np.zeros((len(taken), ACTIONS))
        part = np.arange(len(taken)) % folds
        for fold in range(folds):
            for action in range(ACTIONS):
                seen = (part != fold) & (taken == action)
                pull = np.eye(inputs.shape[1])
                weights = np.linalg.solve(inputs[seen].T @ inputs[seen] + pull, inputs[seen].T @ rewards[seen])
                found[part == fold, action] = inputs[part == fold] @ weights
        return np.asarray(np.clip(found, rewards.min(), rewards.max()))


def covered(name: str, setting: Setting, runs: int, decisions: int, seed: int = 0) -> Iterator[Covered]:
    """One for each estimator."""
    world = World(setting)
    truth = world.truth()
    number = list(SETTINGS).index(name)  # settings share no draws, so that chance does not strike them together
    effective, found = 0.0, np.empty((len(ESTIMATORS), runs, 3))
    for run in range(runs):
        sample = world.sample(decisions, np.random.default_rng((seed, number, run)))
        effective += sample.effective() / runs
        for at, estimator in enumerate(ESTIMATORS):
            one = estimate(estimator, sample)
            found[at, run] = one.value, one.low, one.high
    for estimator, each in zip(ESTIMATORS, found, strict=True):
        yield _covered(name, estimator, each, truth, effective)


def _covered(name: str, estimator: Name, each: Numbers, truth: float, effective: float) -> Covered:
    """each: runs x value, low, high."""
    values, lows, highs = each.T
    runs, held = len(each), int(((lows <= truth) & (truth <= highs)).sum())
    return Covered(
        setting=name,
        estimator=estimator,
        runs=runs,
        share=held / runs,
        low=float(beta.ppf(0.025, held, runs - held + 1)) if held else 0.0,
        high=float(beta.ppf(0.975, held + 1, runs - held)) if held < runs else 1.0,
        over=float((lows > truth).mean()),
        bias=float(values.mean() - truth),
        width=float((highs - lows).mean()),
        deviation=float(values.std(ddof=1)),
        effective=effective,
    )


def _softmax(values: Numbers) -> Numbers:
    shares = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--decisions", type=int, default=4000)
    parser.add_argument("--setting", choices=SETTINGS, action="append")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = []
    for name in options.setting or SETTINGS:
        for one in covered(name, SETTINGS[name], options.runs, options.decisions, options.seed):
            found.append(one)
            if not options.json:
                print(
                    f"{one.setting:28} {one.estimator:10} covered {one.share:6.1%} ({one.low:.1%} to {one.high:.1%}), "
                    f"over {one.over:5.1%}, bias {one.bias:+.4f}, deviation {one.deviation:.4f}, "
                    f"width {one.width:.4f}, effective {one.effective:.0f} of {options.decisions}",
                    flush=True,
                )
    if options.json:
        print(json.dumps({"machine": machine(), "found": [asdict(one) for one in found]}))
    return int(not all(one.kept() for one in found))


if __name__ == "__main__":
    sys.exit(main())
