"""What happens in the world of `ulm.optimisation`, and how hard its questions are."""

from random import Random
from statistics import mean
from typing import Any

import pytest

from managers.ulm.profile import change
from training.scenarios.optimisation import HOUR, OPTIMISATION
from training.scenarios.world import Seen

SLOW: dict[str, Any] = {
    "slowdown": 45.0,
    "share": 30.0,
    "pattern": None,
    "tested": 80.0,
    "samples": 100,
    "possibilities": 1,
}
CHANGE: dict[str, Any] = {"gain": 40.0, "confidence": 60.0, "effort": 4 * HOUR, "risk": 10.0}


def saved(other: dict[str, Any] | None = None, **facts: Any) -> float:
    """Hours, by batching calls, on average over many completions."""
    seen = Seen(SLOW | facts, (change("batch_async_calls", CHANGE | (other or {})),))
    random = Random(2)
    return mean(OPTIMISATION.outcomes(seen, random)[0] for _ in range(300))


@pytest.mark.parametrize(
    ("other", "facts"),
    [
        ({"gain": 10.0}, {}),
        ({"confidence": 20.0}, {}),
        ({"effort": 20 * HOUR}, {}),
        ({"risk": 55.0}, {}),
        ({}, {"share": 10.0}),
        ({}, {"samples": 3}),
    ],
    ids=["little gain", "hardly believed", "much work", "risky", "a small part", "few samples"],
)
def test_what_speaks_against_a_change_costs_hours(other: dict[str, Any], facts: dict[str, Any]) -> None:
    assert saved(other, **facts) < saved() - 5


def test_tests_make_a_risky_change_cheaper() -> None:
    assert saved({"risk": 40.0}, tested=10.0) < saved({"risk": 40.0}, tested=95.0) - 10


def test_the_cure_of_what_was_seen_is_believed_whatever_its_confidence() -> None:
    seen = {"pattern": "many_async_calls"}
    assert saved({"confidence": 10.0}, **seen) > saved({"confidence": 90.0}) - 2
    assert saved({"confidence": 10.0}, pattern="connection_per_request") < 10


def test_to_leave_it_as_it_is_neither_saves_nor_costs() -> None:
    seen = OPTIMISATION.ask("risky_rewrites", Random(1))
    assert seen.candidates[-1].action == "hold"
    assert OPTIMISATION.outcomes(seen, Random(1))[-1] == 0
