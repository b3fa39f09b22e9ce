"""Figures of the cases that wait for people, for Prometheus. Who answered them is in `elias_decisions`, by tier."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from federation.clock import SECOND
from federation.targets import PRIORITIES
from managers.uim.cases.book import Book


def families(book: Book, now: int) -> Iterator[Metric]:
    """now: ledger time, ns."""
    counts, cases = book.counts(now), book.state.cases.values()
    open_ = GaugeMetricFamily("elias_cases_open", "cases that wait for a person", labels=["priority"])
    oldest = GaugeMetricFamily("elias_cases_oldest_seconds", "age of the oldest open case", labels=["priority"])
    for priority in PRIORITIES:
        began = min((case.opened for case in cases if case.priority == priority), default=now)
        open_.add_metric([priority], counts.by_priority.get(priority, 0))
        oldest.add_metric([priority], max(0, now - began) / SECOND)
    groups = GaugeMetricFamily(
        "elias_case_groups",
        "groups of alike cases: all, unclaimed (nobody has it), overdue (past the time to answer), snoozed",
        labels=["state"],
    )
    for state in ("unclaimed", "overdue", "snoozed"):
        groups.add_metric([state], getattr(counts, state))
    groups.add_metric(["all"], counts.groups)
    yield from (open_, oldest, groups)
