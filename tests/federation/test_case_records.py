"""Which records are carried to whoever keeps the book of cases, and which are not."""

from typing import Any

import pytest

from federation.manager import Follow
from federation.records import Answered, Asked, Candidate, CaseWord, Event, Kind, encode, of_case

TRAPS: list[Any] = [
    {},
    {"waits": "", "tier": "rule"},
    {"waits": "operator", "tier": "operator"},
    '"waits":"" "tier":"rule"',
]


def asked(waits: str, data: Any) -> bytes:
    event = Event("1", "tests", "t", "n1", None, {"data": data})
    return encode(Asked(event, {"x": data}, [], None, None, [Candidate("hold", {"y": data})], "b", 1, 1, waits=waits))


def answered(tier: str, data: Any) -> bytes:
    return encode(Answered(0, "hold", {"y": data}, tier, '"tier":"rule"', '"tier":"rule"', "", words='"tier":"rule"'))


@pytest.mark.parametrize("data", TRAPS)
@pytest.mark.parametrize(("waits", "carried"), [("", False), ("policy", True), ("advisor", True), ("operator", True)])
def test_what_waits_is_carried_whatever_its_event_says(waits: str, carried: bool, data: Any) -> None:
    assert of_case(Kind.ASKED, asked(waits, data)) is carried


@pytest.mark.parametrize("data", TRAPS)
@pytest.mark.parametrize(
    ("tier", "carried"), [("rule", False), ("policy", True), ("timeout", True), ("operator", True)]
)
def test_what_a_rule_answered_is_not_carried(tier: str, carried: bool, data: Any) -> None:
    assert of_case(Kind.ANSWERED, answered(tier, data)) is carried


def test_a_follower_of_cases_hears_of_nothing_else() -> None:
    follow = Follow(Kind.ASKED, cases=True)
    assert follow.matches("asked", "any.point", asked("operator", {}))
    assert not follow.matches("asked", "any.point", asked("", {}))
    assert not follow.matches("case", "any.point", encode(CaseWord("commented", "ada", 1)))
