"""What the gate let through, what it held back and why, and what came of it."""

from collections import Counter
from collections.abc import Iterator

from managers.uim.metrics.family import Family
from managers.uim.metrics.scrape import Scrape

VERDICTS = Family(
    "counter",
    "elias_effects_total",
    "steps of effects: wanted, approval (a person must confirm), approved, withheld, released",
    ("point", "action", "mode", "verdict"),
)
WITHHELD = Family(
    "counter",
    "elias_effects_withheld_total",
    "effects that the gate held back, by what did: cap, window, brake, freeze",
    ("point", "action", "reason"),
)
OUTCOMES = Family(
    "counter",
    "elias_effect_outcomes_total",
    "what came of released effects: done, failed, refused, expired, unknown",
    ("point", "action", "status"),
)
OPEN = Family(
    "gauge",
    "elias_effects_open",
    "effects that are not settled, by where they stand: see elias_effects_total",
    ("verdict",),
)
CAP_USED = Family(
    "gauge",
    "elias_cap_used_effects",
    "effects that count against a cap now; of one per node or group, in the fullest",
    ("action", "per", "within"),
)
CAP_LIMIT = Family(
    "gauge", "elias_cap_limit_effects", "effects that the cap allows in its window", ("action", "per", "within")
)

FAMILIES = (VERDICTS, WITHHELD, OUTCOMES, OPEN, CAP_USED, CAP_LIMIT)


def lines(scrape: Scrape) -> Iterator[str]:
    verdicts, withheld, outcomes = (
        Counter[tuple[str, ...]](),
        Counter[tuple[str, ...]](),
        dict[tuple[str, ...], float](),
    )
    for figures in scrape.figures.values():
        for point, action, mode, verdict, reason, count in figures.get("effects", ()):
            verdicts[point, action, mode, verdict] += count
            if verdict == "withheld":
                withheld[point, action, reason] += count
        outcomes |= {(point, action, status): count for point, action, status, count in figures.get("outcomes", ())}
    yield from VERDICTS.of(verdicts)
    yield from WITHHELD.of(withheld)
    yield from OUTCOMES.of(outcomes)
    gate = (scrape.healths.get("gate") or {}).get("standing", {})
    yield from OPEN.of({(verdict,): count for verdict, count in gate.get("open", {}).items()})
    # Of two caps that differ in their limit alone the lower one counts.
    caps = sorted(gate.get("caps", ()), key=lambda cap: -cap[-1])
    yield from CAP_USED.of({(action, per, within): used for action, per, within, used, _ in caps})
    yield from CAP_LIMIT.of({(action, per, within): at_most for action, per, within, _, at_most in caps})
