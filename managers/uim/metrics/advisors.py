"""Cloud models as advisors: how often, for how much, and whether they answer. Empty where the settings name none."""

from collections.abc import Iterator

from managers.uim.metrics.family import Family
from managers.uim.metrics.scrape import Scrape

CALLS = Family("gauge", "elias_advisor_calls", "calls to advisors on this day (UTC)")
CALLS_MOST = Family("gauge", "elias_advisor_calls_most", "calls to advisors that a day may bring")
DOLLARS = Family("gauge", "elias_advisor_dollars", "what advisors cost on this day (UTC)")
DOLLARS_MOST = Family("gauge", "elias_advisor_dollars_most", "what advisors may cost a day")
WAITING = Family("gauge", "elias_advisor_waiting", "questions to advisors under way")
ANSWERED = Family("counter", "elias_advisor_answered_total", "questions that it answered", ("model",))
FAILED = Family("counter", "elias_advisor_failed_total", "calls that brought no answer", ("model",))
BREAKER = Family("gauge", "elias_advisor_breaker_open", "1: the advisor is left alone", ("model",))
SECONDS = Family("histogram", "elias_advisor_seconds", "until the advice")

FAMILIES = (CALLS, CALLS_MOST, DOLLARS, DOLLARS_MOST, WAITING, ANSWERED, FAILED, BREAKER, SECONDS)


def lines(scrape: Scrape) -> Iterator[str]:
    said = scrape.healths.get("advisor") or {}
    today, advisors = said.get("today", {}), said.get("advisors", ())
    for family, key in ((CALLS, "calls"), (CALLS_MOST, "calls_most"), (DOLLARS, "cost"), (DOLLARS_MOST, "cost_most")):
        yield from family.one(today.get(key))
    yield from WAITING.one(said.get("waiting"))
    yield from ANSWERED.of({(one["model"],): one["answered"] for one in advisors})
    yield from FAILED.of({(one["model"],): one["failed"] for one in advisors})
    yield from BREAKER.of({(one["model"],): one["state"] == "open" for one in advisors})
    yield from SECONDS.one(said.get("seconds"))
