"""elias report: what champions brought in its time."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from federation.clock import DAY, SECOND
from federation.escalation import Escalation
from federation.policy.registry import Stage, Step
from managers.uim.report.collect import report
from managers.uim.report.gained import Gained
from managers.uim.report.worth import Prices
from tests.policy.plant import Says, Works
from tests.policy.test_promotion import SUBJECTS, clear, hour, register, shuffled, stepped, works_in

CHAMPION = Step(Stage.CHAMPION, 1.0)
EACH = len(SUBJECTS)  # decisions of an hour


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    made = works_in(tmp_path, "observe")
    yield made
    made.close()


def gained(works: Works, days: int, ago: int = 0) -> list[Gained]:
    """Of a report of so many days that ended so many days ago."""
    until = works.clock.now() + 1 - ago * DAY
    return report(works.store, works.points, Escalation(), until - days * DAY, until, Prices()).gained


def days(works: Works, count: int) -> None:
    works.clock.advance(count * DAY / SECOND)


@pytest.fixture
def veteran(works: Works) -> Works:
    """A champion of 80 days, with an hour of decisions before it, right after, and 50 and 80 days after."""
    others: dict[str, Says] = {(version := register(works)): clear}
    hour(works, Random(0), others)
    stepped(works, version, CHAMPION)
    for number, later in enumerate((0, 50, 30), start=1):
        days(works, later)
        hour(works, Random(number), others)
    return works


@pytest.mark.parametrize(("length", "hours"), [(100, 3), (60, 2), (10, 1)])
def test_what_a_champion_brings_in_a_report_counts_however_long_it_has_been_one(
    veteran: Works, length: int, hours: int
) -> None:
    (one,) = gained(veteran, length)
    assert one.decisions == hours * EACH
    assert one.total.lower <= one.total.value <= one.decisions
    assert one.total.value > 0.1 * one.decisions


@pytest.mark.parametrize("ago", [10, 81])
def test_a_report_of_a_time_without_its_decisions_says_nothing_of_a_champion(veteran: Works, ago: int) -> None:
    assert gained(veteran, 10, ago) == []


def test_each_champion_has_what_was_decided_under_it_until_it_went(works: Works) -> None:
    good, bad = register(works, b"good"), register(works, b"bad")
    others: dict[str, Says] = {good: clear, bad: shuffled}
    for number, promoted in enumerate(("", good, bad)):
        if promoted:
            stepped(works, promoted, CHAMPION)
        hour(works, Random(number), others)
        days(works, 20)
    newest, first = gained(works, 100)
    assert (newest.policy, newest.decisions, newest.total.upper < 0) == (bad, EACH - 8, True)  # 8 to hold: no reward
    assert (first.policy, first.decisions, first.total.lower > 0) == (good, EACH, True)
    assert [one.policy for one in gained(works, 30)] == [bad]
