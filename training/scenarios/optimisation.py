"""The world of `ulm.optimisation`: a component is slow, and a profile says what could be done about it.

What comes of a choice is the working hours that it saves in a quarter:

    saved = 2 * share * (1 + slowdown) * gain * belief        share in per cent, so a share of 30 % is 60 hours
    spent = effort + 60 * risk * (1 - 0.8 * tested)           a change that breaks something costs 60 hours; tests find
                                                              four of five such changes in the code that they run

and 0 for leaving it as it is. Belief is the change's confidence, or 0.95 where the change cures what was seen in the
code: then the cause is known. Both shrink where the profile rests on few samples, by n / (n + 8).

Noise: what a change saves and takes is known within a few per cent, so both are drawn around what was expected. What
nobody knows is drawn from all changes. One change in fifty breaks something that no test and no experience would have
told.

All figures are invented; that estimates from few samples shrink towards nothing is the usual (James-Stein) form.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from federation.records import Candidate
from managers.ulm.points import OPTIMISATION as POINT
from managers.ulm.points import OPTIMISATIONS, PATTERNS
from managers.ulm.profile import change, ordered
from training.scenarios.draws import between, near, rounded
from training.scenarios.world import Seen

HOUR = 3600.0

_HOURS = 2.0  # in a quarter, per per cent of the whole
_KNOWN_CAUSE = 0.95  # belief in the change that cures what was seen
_FEW = 8  # samples at which belief is half
_BREAKS, _FOUND = 60.0, 0.8  # hours that a broken change costs; what tests find of it where they run
_UNSEEN = 0.02  # changes that break something nobody could know
_SPREAD = 0.05  # of what a change saves and takes, around what was expected: standard deviation of the logarithm


@dataclass(frozen=True)
class _Family:
    """Ranges that a situation is drawn from; shares in percent, effort in hours. seen: how often a pattern was seen in
    the code."""

    share: tuple[int, int] = (5, 70)
    gain: tuple[int, int] = (5, 60)
    confidence: tuple[int, int] = (30, 95)
    effort: tuple[float, float] = (1, 30)
    risk: tuple[int, int] = (1, 40)
    tested: tuple[int, int] = (20, 95)
    samples: tuple[int, int] = (8, 400)
    seen: float = 0.4


_FAMILIES: Mapping[str, _Family] = {
    "a_cause_that_was_seen": _Family(seen=1.0),
    "many_small_gains": _Family(gain=(3, 25), effort=(0.5, 10), risk=(1, 15)),
    "risky_rewrites": _Family(gain=(20, 80), risk=(15, 58), effort=(5, 60), tested=(5, 95)),
    "claims_from_few_samples": _Family(gain=(20, 80), samples=(2, 30), confidence=(15, 90)),
    "a_small_part_of_the_whole": _Family(share=(5, 20), gain=(10, 80), effort=(0.5, 20)),
    "a_cause_that_was_seen_in_risky_code": _Family(seen=1.0, risk=(10, 58), tested=(5, 60), samples=(4, 100)),
}


class Optimisation:
    point = POINT
    epsilon = 4.0
    families = tuple(_FAMILIES)
    held_out = "a_cause_that_was_seen_in_risky_code"
    rules = """## ULM Optimisation Spec
- decides: ulm.optimisation
- fallback: optimise
- few: when samples < 6: hold
- small: when share < 7%: hold
- never optimise when change.risk > 40%
- never optimise when change.confidence < 40%
- never optimise when change.effort > 15h
- never optimise when share < 20% and change.effort > 5h
- otherwise: optimise
"""

    def ask(self, family: str, random: Random) -> Seen:
        ranges = _FAMILIES[family]
        found = random.sample(OPTIMISATIONS, random.choice((1, 2, 3, 3, 4)))
        seen = [pattern for pattern, cure in PATTERNS.items() if cure in found]
        facts: dict[str, Any] = {
            "slowdown": float(random.randint(10, 120)),
            "share": float(random.randint(*ranges.share)),
            "pattern": random.choice(seen) if seen and random.random() < ranges.seen else None,
            "tested": float(random.randint(*ranges.tested)),
            "samples": round(between(random, *ranges.samples)),
            "possibilities": len(found),
        }
        if random.random() < 0.05:
            del facts[random.choice(("tested", "samples"))]
        changes = ordered(change(what, _figures(ranges, random)) for what in found)
        return Seen(facts, (*changes, Candidate("hold")))

    def outcomes(self, seen: Seen, random: Random) -> tuple[float, ...]:
        facts = seen.facts
        samples = facts.get("samples", between(random, 8, 400))
        tested = facts.get("tested", random.uniform(20, 95)) / 100
        whole = _HOURS * facts["share"] * (1 + facts["slowdown"] / 100) * samples / (samples + _FEW)
        cure = PATTERNS.get(facts["pattern"] or "")
        return tuple(
            _saved(candidate.attributes, whole, tested, candidate.args["what"] == cure, random)
            if candidate.action == "optimise"
            else 0.0
            for candidate in seen.candidates
        )


def _figures(ranges: _Family, random: Random) -> dict[str, float]:
    known = {
        "gain": float(random.randint(*ranges.gain)),
        "confidence": float(random.randint(*ranges.confidence)),
        "effort": rounded(between(random, *ranges.effort)) * HOUR,
        "risk": float(random.randint(*ranges.risk)),
    }
    if random.random() < 0.03:
        del known[random.choice(("gain", "confidence", "effort"))]
    return known


def _saved(figures: Mapping[str, Any], whole: float, tested: float, cures: bool, random: Random) -> float:
    """Hours in a quarter. whole: hours that would be saved if the component took no time at all."""
    confidence = figures.get("change.confidence", random.uniform(30, 95)) / 100
    gain = figures.get("change.gain", random.uniform(5, 60)) / 100 * (_KNOWN_CAUSE if cures else confidence)
    effort = figures.get("change.effort", between(random, 1, 30) * HOUR) / HOUR
    risk = figures.get("change.risk", random.uniform(1, 40)) / 100
    broken = 1.0 if random.random() < _UNSEEN else risk * (1 - _FOUND * tested)
    return float(whole * gain * near(random, _SPREAD) - effort * near(random, _SPREAD) - _BREAKS * broken)


OPTIMISATION = Optimisation()
