"""The cases that wait for people. Who answered them is in `elias_decisions_total`, by tier."""

from collections.abc import Iterator

from managers.uim.metrics.family import Family
from managers.uim.metrics.scrape import Scrape

OPEN = Family("gauge", "elias_cases_open", "cases that wait for a person", ("priority",))
OLDEST = Family("gauge", "elias_cases_oldest_seconds", "age of the oldest open case", ("priority",))
GROUPS = Family(
    "gauge",
    "elias_case_groups",
    "groups of alike cases: all, unclaimed (nobody has it), overdue (past the time to answer), snoozed",
    ("state",),
)

FAMILIES = (OPEN, OLDEST, GROUPS)


def lines(scrape: Scrape) -> Iterator[str]:
    cases = scrape.cases
    yield from OPEN.of({(priority,): count for priority, count in cases.open.items()})
    yield from OLDEST.of({(priority,): age for priority, age in cases.oldest.items()})
    yield from GROUPS.of({(state,): count for state, count in cases.groups.items()})
