"""A day has so many calls and dollars, also after a restart, and the next day has them again."""

import pytest

from federation.advisors.budget import Budget
from federation.advisors.question import Spent
from federation.advisors.settings import AdvisorSettings
from federation.clock import DAY
from federation.records import Advised

LIMITS = AdvisorSettings(calls_a_day=10, cost_a_day=1.0, point_calls_a_day=4, point_cost_a_day=0.5)
NOW = 20_000 * DAY + DAY // 2


def advised(calls: int, cost: float, at: int = NOW) -> Advised:
    return Advised("p", "m", [], None, None, "", "operator", "", at, calls=calls, cost=cost, input_tokens=10)


def test_calls_at_a_point_end_before_those_of_the_day() -> None:
    budget = Budget(LIMITS, NOW)
    for _ in range(4):
        assert budget.refusal("a.b", NOW) == ""
        budget.begin("a.b", NOW)
    assert "the 4 calls that a day may bring advisors at a.b are used up" in budget.refusal("a.b", NOW)
    assert budget.refusal("a.c", NOW) == ""
    budget.spend("a.d", Spent(calls=6), NOW)
    assert "the 10 calls that a day may bring the advisors are used up" in budget.refusal("a.c", NOW)


def test_dollars_at_a_point_end_before_those_of_the_day() -> None:
    budget = Budget(LIMITS, NOW)
    budget.spend("a.b", Spent(cost=0.5), NOW)
    assert "$0.50" in budget.refusal("a.b", NOW)
    assert budget.refusal("a.c", NOW) == ""
    budget.spend("a.c", Spent(cost=0.5), NOW)
    assert "$1.00" in budget.refusal("a.d", NOW)


def test_a_limit_of_nothing_allows_nothing() -> None:
    assert Budget(AdvisorSettings(calls_a_day=0), NOW).refusal("a.b", NOW)


def test_midnight_utc_begins_anew() -> None:
    budget = Budget(LIMITS, NOW)
    budget.spend("a.b", Spent(calls=100, cost=100.0), NOW)
    assert budget.refusal("a.b", NOW + DAY // 2 - 1)
    assert budget.refusal("a.b", NOW + DAY // 2) == ""
    assert budget.spent(NOW + DAY // 2) == Spent()


def test_the_records_of_today_are_told_again_after_a_restart() -> None:
    budget = Budget(LIMITS, NOW)
    records = [("a.b", advised(3, 0.1)), ("a.b", advised(1, 0.1)), ("a.c", advised(9, 9.0, NOW - DAY))]
    budget.replay(records, NOW)
    assert budget.spent(NOW).calls == 4
    assert budget.spent(NOW).cost == pytest.approx(0.2)
    assert budget.refusal("a.b", NOW)
    assert budget.by_point(NOW).keys() == {"a.b"}
