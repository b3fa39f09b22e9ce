"""What happens in the world of `ucm.coordination`, and how hard its questions are."""

from random import Random
from statistics import mean
from typing import Any

import pytest

from training.scenarios.coordination import COORDINATION
from training.scenarios.world import Seen

FAILED: dict[str, Any] = {
    "step": "deploy",
    "trouble": "failed",
    "error": "no_answer",
    "attempts": 1,
    "elapsed": 100.0,
    "recovers": 60.0,
    "idempotent": True,
    "reached": 50.0,
    "deployed": 50.0,
    "reversible": 60.0,
    "dependents": 0,
}
LATE = FAILED | {"trouble": "late", "error": None, "elapsed": 120.0}


def lost(facts: dict[str, Any], **other: Any) -> dict[str, float]:
    """Minutes, by action, on average over many completions."""
    seen = Seen(facts | other, COORDINATION.ask("half_deployed", Random(1)).candidates)
    random = Random(2)
    averages = map(mean, zip(*(COORDINATION.outcomes(seen, random) for _ in range(300)), strict=True))
    return {candidate.action: -average for candidate, average in zip(seen.candidates, averages, strict=True)}


def best(facts: dict[str, Any], **other: Any) -> str:
    found = lost(facts, **other)
    return min(found, key=found.__getitem__)


@pytest.mark.parametrize(
    ("facts", "action"),
    [
        (FAILED, "retry_step"),
        (LATE, "hold"),
        (LATE | {"elapsed": 600.0}, "retry_step"),
        (FAILED | {"reached": 95.0, "deployed": 95.0}, "proceed"),
        (FAILED | {"step": "monitor", "idempotent": False}, "proceed"),
        (FAILED | {"error": "refused", "deployed": 0.0, "reached": 10.0}, "roll_back"),
    ],
    ids=["it will work", "it will come", "it will not come", "nearly all", "only watched", "nothing to take back"],
)
def test_what_costs_least_is_right(facts: dict[str, Any], action: str) -> None:
    assert best(facts) == action


@pytest.mark.parametrize(
    "other",
    [{"attempts": 5}, {"recovers": 20.0}, {"error": "refused"}, {"idempotent": False}, {"dependents": 5}],
    ids=["tried often", "seldom helps", "refused", "does harm", "others wait"],
)
def test_what_speaks_against_another_try_costs_minutes(other: dict[str, Any]) -> None:
    assert lost(FAILED, **other)["retry_step"] > lost(FAILED)["retry_step"] + 5


def test_what_cannot_be_taken_back_cleanly_is_better_not_rolled_back() -> None:
    assert lost(FAILED, reversible=5.0)["roll_back"] > lost(FAILED, reversible=95.0)["roll_back"] + 50


def test_where_nobody_knows_what_helped_the_error_tells() -> None:
    unknown = {name: value for name, value in FAILED.items() if name != "recovers"}
    assert lost(unknown, error="exhausted")["retry_step"] > lost(unknown, error="unreachable")["retry_step"] + 20
