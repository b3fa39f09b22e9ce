"""The world of `uim.rollout`: a new version of a component that runs beside the old one, on the same machines.

What comes of a share of the traffic is counted in requests, of each 100 to the component, that are served better than
the old version alone would serve them, less those that are served worse:

    share * (worth - lost - slow) - overload - cold - price

- Worth: a fix is worth more than a feature, and a rewrite by itself least.
- Lost: percent points by which the new version fails more often, times the calls that depend on one: components that
  call this one repeat a failed request, or fail with it.
- Slow: what a longer 95th percentile costs.
- Overload: a slower version takes more of the machines, so their load grows with its share; above 85 % both versions
  lose requests. This is what makes a middle share the best one.
- Cold: a version that got its share just now fills its caches; a large step then is paid for.
- Price: a roll-back means to begin again, and loses what was written since if the old version cannot read it. To hold
  means that somebody looks again.

Noise: what was measured over few requests says little about what is so, and the less the more the truth is like that of
other new versions: a little worse than the old one. A load, a time or dependents that nobody reported are drawn from
all components. One new version in fifty has a fault that shows only with more traffic.

All figures are invented; the shape follows what the site reliability literature says of canaries (The Site Reliability
Workbook, chapter 16).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from federation.records import Candidate
from managers.uim.points import ROLLOUT as POINT
from managers.uim.rollout import rollout_candidates
from training.scenarios.world import Seen

MINUTE = 60.0

_WORTH = {"fix": 6.0, "feature": 4.0, "rewrite": 3.0}  # requests of 100
_SLOW = 10.0  # for twice the latency
_OVERLOAD, _FULL = 0.6, 85.0  # for each percent point of load above _FULL
_COLD, _WARM = 10.0, 5 * MINUTE  # for all the traffic at once, and how long it takes to fill the caches
_AGAIN, _UNREADABLE, _LOOK = 0.5, 2.5, 0.3
_PRIOR = 150  # requests that the experience with other new versions counts for
_WORSE = 0.3  # percent points by which those failed more often
_FAULT, _FAULT_COST = 0.02, 40.0


@dataclass(frozen=True)
class _Family:
    """Ranges that a situation is drawn from. excess: by how much the new version fails more often, percent points.
    ratio: of its latency to the old one's."""

    changes: tuple[str, ...]
    shares: tuple[float, ...]
    excess: tuple[float, float]
    ratio: tuple[float, float]
    requests: tuple[float, float]
    minutes: tuple[float, float]
    load: tuple[int, int]


_FAMILIES: Mapping[str, _Family] = {
    "sound_version": _Family(
        ("fix", "feature"), (1, 5, 25, 50), (-0.5, 0.5), (0.7, 1.15), (1e3, 1e5), (3, 120), (20, 80)
    ),
    "failing_canary": _Family(
        ("fix", "feature", "rewrite"), (5, 25, 50, 100), (0.5, 8.0), (0.8, 1.3), (500, 5e4), (2, 120), (20, 80)
    ),
    "slow_rewrite_on_busy_machines": _Family(
        ("rewrite", "feature"), (5, 25, 50), (-0.5, 0.5), (1.0, 2.0), (1e3, 1e5), (10, 120), (50, 85)
    ),
    "hardly_measured": _Family(
        ("fix", "feature", "rewrite"), (1, 5, 25), (-1.0, 6.0), (0.7, 1.6), (0.5, 300), (0.3, 10), (20, 80)
    ),
    "fix_with_side_effects": _Family(("fix",), (5, 25, 50), (-1.0, 4.0), (0.8, 1.8), (1e3, 1e5), (3, 120), (30, 80)),
    "slow_and_failing_under_load": _Family(
        ("feature", "rewrite"), (5, 25, 50), (0.0, 5.0), (1.0, 1.8), (500, 5e4), (2, 60), (55, 85)
    ),
}


class Rollout:
    point = POINT
    epsilon = 0.4
    families = tuple(_FAMILIES)
    held_out = "slow_and_failing_under_load"
    rules = """## UIM Rollout Spec
- decides: uim.rollout
- never advance when load > 80%
- worse: when errors > 3% and requests > 200: roll_back
- too_early: when elapsed < 5m or requests < 500: hold
- as_good: when errors <= errors_before and latency <= latency_before: advance(100%)
- otherwise: advance
"""

    def ask(self, family: str, random: Random) -> Seen:
        ranges = _FAMILIES[family]
        before = random.choice((0.1, 0.2, 0.5, 1.0, 2.0))
        latency = random.choice((0.05, 0.1, 0.2, 0.5))
        errors = max(before + random.uniform(*ranges.excess), 0.0)
        facts: dict[str, Any] = {
            "change": random.choice(ranges.changes),
            "share": float(random.choice(ranges.shares)),
            "errors": round(errors, 1),
            "errors_before": before,
            "latency": _rounded(latency * _between(random, *ranges.ratio)),
            "latency_before": latency,
            "requests": round(_between(random, *ranges.requests)),
            "elapsed": _rounded(_between(random, *ranges.minutes) * MINUTE),
            "load": float(random.randint(*ranges.load)),
            "dependents": random.choice((0, 1, 2, 3, 5, 8, 12)),
            "reversible": random.random() < 0.7,
        }
        luck = random.random()
        if luck < 0.06:
            del facts[random.choice(("load", "dependents", "reversible"))]
        elif luck < 0.1:
            facts |= {"requests": random.randint(0, 30), "elapsed": 3600.0}  # it gets no traffic, whatever its share
        return Seen(facts, tuple(rollout_candidates(facts["share"])))

    def outcomes(self, seen: Seen, random: Random) -> tuple[float, ...]:
        facts = seen.facts
        share = float(facts["share"]) / 100
        calls: float = 1 + facts.get("dependents", random.choice((1, 3, 5))) / 8
        excess, ratio = _excess(facts, random), _ratio(facts, random)
        net = _WORTH[facts["change"]] - calls * excess - _SLOW * max(ratio - 1, 0.0)
        load: float = facts.get("load", random.gauss(60, 12)) + random.gauss(0, 2)
        cold = _COLD * math.exp(-facts["elapsed"] / _WARM)
        undo = _AGAIN + (0.0 if facts.get("reversible", random.random() < 0.7) else _UNREADABLE * share)
        fault = _FAULT_COST if random.random() < _FAULT else 0.0

        def at(to: float) -> float:
            more = max(to - share, 0.0)
            filled = load * (1 + (to - share) * (ratio - 1))
            return to * net - _OVERLOAD * max(filled - _FULL, 0.0) - more * (cold + fault)

        def worth(candidate: Candidate) -> float:
            match candidate.action:
                case "advance":
                    return at(float(candidate.args["share"]) / 100)
                case "roll_back":
                    return at(0.0) - undo
                case _:
                    return at(share) - _LOOK

        return tuple(worth(candidate) for candidate in seen.candidates)


def _excess(facts: Mapping[str, Any], random: Random) -> float:
    """Percent points by which the new version fails more often than the old one, given what was measured."""
    weight = facts["requests"] / (facts["requests"] + _PRIOR)
    mean: float = weight * (facts["errors"] - facts["errors_before"]) + (1 - weight) * _WORSE
    failing = max(facts["errors_before"] + mean, 0.2) / 100
    return mean + 100 * random.gauss(0, math.sqrt(failing * (1 - failing) / (facts["requests"] + _PRIOR)))


def _ratio(facts: Mapping[str, Any], random: Random) -> float:
    """Latency of the new version by that of the old one, given what was measured."""
    weight = facts["requests"] / (facts["requests"] + _PRIOR)
    mean: float = 1 + weight * (facts["latency"] / facts["latency_before"] - 1)
    return mean * math.exp(random.gauss(0, 0.02 + 0.1 * (1 - weight)))


def _between(random: Random, low: float, high: float) -> float:
    """Log-uniform."""
    return math.exp(random.uniform(math.log(low), math.log(high)))


def _rounded(value: float) -> float:
    """Two significant digits, as people and monitors report."""
    return float(f"{value:.1e}")


ROLLOUT = Rollout()
