"""How often the test of a canary is wrong, and how long it takes, when one looks after every observation.

    python -m benchmarks.promotion [--json] [--runs 2000] [--observations 5000] [--kind NAME]

Equal policies: how many challengers are promoted, of RUNS with at most OBSERVATIONS observations each, for several
kinds of reward. Then challengers whose reward is better or worse by a share of the champion's: how many observations
until half of them are promoted or rolled back, beside what a test of fixed size needs to find nine of ten.
Ends with status 1 where more of the equal ones are promoted than 5 % and chance explain.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binom, norm

from benchmarks.machine import machine
from federation.policy.sequential import ALPHA, Evidence, Verdict, step, verdict

Numbers = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, float], Numbers]
"""Rewards of 0 to 1: generator, how many, and the factor of the mean by which the policy differs."""

MEAN = 0.5
EFFECTS = (0.05, 0.1, 0.2)


def _binary(random: np.random.Generator, count: int, factor: float) -> Numbers:
    return np.asarray((random.random(count) < MEAN * factor).astype(float))


def _rare(random: np.random.Generator, count: int, factor: float) -> Numbers:
    return np.asarray((random.random(count) < 0.05 * factor).astype(float))


def _even(random: np.random.Generator, count: int, factor: float) -> Numbers:
    mean = MEAN * factor
    return random.beta(4 * mean, 4 * (1 - mean), count)


def _skewed(random: np.random.Generator, count: int, factor: float) -> Numbers:
    mean = 0.1 * factor
    return random.beta(0.5 * mean, 0.5 * (1 - mean), count)


def _drifting(random: np.random.Generator, count: int, factor: float) -> Numbers:
    """The world gets better and worse for both, half a turn in 2,500 observations."""
    means = MEAN * (1 + 0.5 * np.sin(np.arange(count) * math.pi / 2500))
    return np.asarray((random.random(count) < means * factor).astype(float))


KINDS: dict[str, Draw] = {"binary": _binary, "rare": _rare, "even": _even, "skewed": _skewed, "drifting": _drifting}


@dataclass(frozen=True)
class Run:
    """When the test ended, in observations, and how."""

    verdict: Verdict
    observations: int


@dataclass(frozen=True)
class Rate:
    """Equal policies. low, high: exact 95 % interval of the share promoted."""

    kind: str
    share: str
    runs: int
    promoted: int
    rolled_back: int
    low: float
    high: float


@dataclass(frozen=True)
class Time:
    """median: observations until half of the challengers have the verdict that they deserve; None: fewer have it.
    right, wrong: shares of the runs. fixed: observations of a test of fixed size at the same level and power 90 %."""

    kind: str
    effect: float
    runs: int
    median: int | None
    right: float
    wrong: float
    fixed: int


def follow(draw: Draw, factor: float, shares: tuple[float, ...], most: int, random: np.random.Generator) -> Run:
    """One canary. shares: of the traffic, in equal parts of the observations."""
    champion, challenger = draw(random, most, 1.0).tolist(), draw(random, most, factor).tolist()
    chances = random.random(most).tolist()
    evidence = Evidence()
    for at in range(most):
        share = shares[at * len(shares) // most]
        taken = chances[at] < share
        evidence = step(evidence, challenger[at] if taken else champion[at], taken, share)
        said = verdict(evidence)
        if said != Verdict.GO_ON:
            return Run(said, at + 1)
    return Run(Verdict.GO_ON, most)


def equal(kind: str, shares: tuple[float, ...], runs: int, most: int, seed: int = 0) -> Rate:
    found = [follow(KINDS[kind], 1.0, shares, most, np.random.default_rng((seed, run))) for run in range(runs)]
    promoted = sum(run.verdict == Verdict.PROMOTE for run in found)
    rolled_back = sum(run.verdict == Verdict.ROLL_BACK for run in found)
    low = float(beta.ppf(0.025, promoted, runs - promoted + 1)) if promoted else 0.0
    high = float(beta.ppf(0.975, promoted + 1, runs - promoted)) if promoted < runs else 1.0
    return Rate(kind, " ".join(f"{share:g}" for share in shares), runs, promoted, rolled_back, low, high)


def unequal(kind: str, effect: float, runs: int, most: int, seed: int = 1) -> Time:
    """At half of the traffic."""
    deserved = Verdict.PROMOTE if effect > 0 else Verdict.ROLL_BACK
    found = [follow(KINDS[kind], 1 + effect, (0.5,), most, np.random.default_rng((seed, run))) for run in range(runs)]
    right = sorted(run.observations for run in found if run.verdict == deserved)
    wrong = sum(run.verdict not in (deserved, Verdict.GO_ON) for run in found)
    median = right[(runs - 1) // 2] if len(right) > (runs - 1) // 2 else None
    return Time(kind, effect, runs, median, len(right) / runs, wrong / runs, fixed_size(kind, effect))


def fixed_size(kind: str, effect: float, power: float = 0.9) -> int:
    """Observations of both arms together of the one-sided test of two means."""
    random = np.random.default_rng(0)
    one, other = KINDS[kind](random, 200_000, 1.0), KINDS[kind](random, 200_000, 1 + effect)
    difference = {"rare": 0.05, "skewed": 0.1}.get(kind, MEAN) * effect
    needed = (norm.ppf(1 - ALPHA) + norm.ppf(power)) ** 2 * 2 * (one.var() + other.var()) / difference**2
    return math.ceil(float(needed))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--observations", type=int, default=5000)
    parser.add_argument("--kind", choices=KINDS, action="append")
    options = parser.parse_args()
    rates, times = [], []
    for kind in options.kind or KINDS:
        for shares in ((0.5,), (0.05, 0.25, 0.5)):
            rates.append(equal(kind, shares, options.runs, options.observations))
            _say(options.json, _rate(rates[-1]))
    for kind in options.kind or ("binary", "even"):
        for effect in (*EFFECTS, *(-one for one in EFFECTS)):
            most = 4 * fixed_size(kind, effect)
            times.append(unequal(kind, effect, max(options.runs // 20, 10), most))
            _say(options.json, _time(times[-1]))
    if options.json:
        found = {"equal": [asdict(rate) for rate in rates], "unequal": [asdict(time) for time in times]}
        print(json.dumps({"machine": machine(), **found}))
    most_wrong = int(binom.ppf(0.999, options.runs, ALPHA))
    return int(any(rate.promoted > most_wrong for rate in rates))


def _rate(rate: Rate) -> str:
    return (
        f"equal, {rate.kind:9} share {rate.share:13} promoted {rate.promoted / rate.runs:.1%} of {rate.runs} "
        f"({rate.low:.1%} to {rate.high:.1%}), rolled back {rate.rolled_back / rate.runs:.1%}"
    )


def _time(time: Time) -> str:
    half = "more than were drawn" if time.median is None else f"{time.median:,}"
    return (
        f"{time.effect:+.0%}, {time.kind:9} half of {time.runs} after {half}; right {time.right:.0%}, "
        f"wrong {time.wrong:.0%}; of fixed size {time.fixed:,}"
    )


def _say(quiet: bool, text: str) -> None:
    if not quiet:
        print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
