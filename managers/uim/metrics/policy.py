"""How sure the policy is, how fast, how it stands up to checks, and which engine serves it."""

from collections.abc import Iterator
from typing import Any

from managers.uim.metrics.family import Family, together
from managers.uim.metrics.scrape import Scrape

CONFIDENCE = Family("histogram", "elias_policy_confidence", "that the policy's choice is right", ("point",))
SECONDS = Family(
    "histogram",
    "elias_policy_seconds",
    "of a consultation: queue (until a batch begins), score (in the engine), whole (from record to record)",
    ("stage",),
)
CHECKED = Family("gauge", "elias_policy_checked", "answers of the policy that a person checked", ("point",))
WRONG = Family("gauge", "elias_policy_wrong", "of those, that the person answered otherwise", ("point",))
BROKEN = Family("gauge", "elias_policy_broken", "1: so many were wrong that it may not decide", ("point",))
SHARE = Family(
    "gauge", "elias_trial_share", "of the units: the challenger's, by the stage of its trial", ("point", "stage")
)
EXPLORED = Family("gauge", "elias_policy_explored_day", "answers of the last day that were explored", ("point",))
DROPPED = Family(
    "counter",
    "elias_shadow_dropped_total",
    "questions that a challenger in the shadow was not asked",
    ("component",),
)
STOOD_IN = Family("counter", "elias_policy_stood_in_total", "batches that another policy answered than was named")
BATCHES = Family("counter", "elias_policy_batches_total", "batches scored")
SCORED = Family("counter", "elias_policy_scored_total", "questions scored")
ANSWERED = Family("counter", "elias_policy_answered_total", "batches that the engine answered", ("engine",))
FAILED = Family("counter", "elias_policy_failed_total", "batches that it did not answer in time", ("engine",))
FAILED_OVER = Family(
    "counter", "elias_policy_failed_over_total", "batches that it answered after another had failed", ("engine",)
)
LOST = Family("counter", "elias_policy_lost_total", "batches that no engine answered in time")
BREAKER = Family("gauge", "elias_policy_breaker_open", "1: the engine is left alone", ("engine",))

FAMILIES = (
    CONFIDENCE, CHECKED, WRONG, BROKEN, SHARE, EXPLORED, DROPPED,
    SECONDS, ANSWERED, FAILED, FAILED_OVER, STOOD_IN, BATCHES, SCORED, LOST, BREAKER,
)  # fmt: skip

_OF_ENGINES = ((ANSWERED, "answered"), (FAILED, "failed"), (FAILED_OVER, "failed_over"))
_ALONE = ((STOOD_IN, "stood_in"), (BATCHES, "batches"), (SCORED, "scored"), (LOST, "lost"))


def lines(scrape: Scrape) -> Iterator[str]:
    yield from _of_managers(scrape)
    policy = scrape.healths.get("policy") or {}
    whole = together([figures["consulted"] for figures in scrape.figures.values() if "consulted" in figures])
    stages = {"whole": whole} if whole else {}
    yield from SECONDS.of({(stage,): seconds for stage, seconds in (stages | policy.get("stages", {})).items()})
    for family, key in _OF_ENGINES:
        yield from family.of({(engine,): count for engine, count in policy.get(key, {}).items()})
    for family, key in _ALONE:
        yield from family.one(policy.get(key))
    yield from BREAKER.of({(one["engine"],): one["state"] == "open" for one in policy.get("engines", ())})


def _of_managers(scrape: Scrape) -> Iterator[str]:
    confidence, audits, trials, explored = (
        _by_point(scrape, k) for k in ("confidence", "audits", "trials", "explored")
    )
    yield from CONFIDENCE.of({(point,): histogram for point, histogram in confidence.items()})
    for family, key in ((CHECKED, "checked"), (WRONG, "wrong"), (BROKEN, "broken")):
        yield from family.of({(point,): audit[key] for point, audit in audits.items()})
    yield from SHARE.of({(point, stage): part for point, (stage, part) in trials.items()})
    yield from EXPLORED.of({(point,): count for point, count in explored.items()})
    dropped = {name: figures.get("shadows_dropped") for name, figures in scrape.figures.items()}
    yield from DROPPED.of({(name,): count for name, count in dropped.items() if count is not None})


def _by_point(scrape: Scrape, key: str) -> dict[str, Any]:
    """What each manager counts under that key at its points."""
    return {point: said for figures in scrape.figures.values() for point, said in figures.get(key, {}).items()}
