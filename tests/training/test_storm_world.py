"""What happens in the world of `ucm.storm`, and how hard its questions are."""

from random import Random
from statistics import mean
from typing import Any

import pytest

from training.scenarios.storm import STORM
from training.scenarios.world import Seen

CALM: dict[str, Any] = {
    "load": 150.0,
    "trend": 0.0,
    "queue_fill": 50.0,
    "wait": 60.0,
    "oldest": 60.0,
    "critical": 10.0,
    "low": 10.0,
    "duplicates": 10.0,
    "retries": 10.0,
    "overhead": 10.0,
    "standby_room": None,
}


def worth(**facts: Any) -> dict[str, float]:
    """Of each action, on average over many completions."""
    seen = Seen(CALM | facts, STORM.ask("retry_storm", Random(1)).candidates)
    random = Random(2)
    averages = map(mean, zip(*(STORM.outcomes(seen, random) for _ in range(300)), strict=True))
    return dict(zip((candidate.action for candidate in seen.candidates), averages, strict=True))


def best(**facts: Any) -> str:
    found = worth(**facts)
    return max(found, key=found.__getitem__)


@pytest.mark.parametrize(
    ("facts", "action"),
    [
        ({"retries": 60.0}, "throttle"),
        ({"overhead": 60.0}, "batch"),
        ({"low": 50.0}, "drop_low"),
        ({"duplicates": 60.0}, "drop_duplicates"),
        ({"standby_room": 70.0}, "reroute"),
        ({"load": 130.0, "trend": -40.0}, "hold"),
    ],
)
def test_the_lever_that_takes_the_storm_away_is_right(facts: dict[str, Any], action: str) -> None:
    assert best(**facts) == action


def test_a_batch_is_wrong_where_critical_messages_would_wait_for_it() -> None:
    assert best(overhead=60.0, low=45.0, critical=0.0) == "batch"
    assert best(overhead=60.0, low=45.0, critical=50.0) != "batch"


def test_a_queue_with_room_takes_up_what_a_full_one_loses() -> None:
    assert worth(queue_fill=5.0)["hold"] > worth(queue_fill=95.0)["hold"] + 20


def test_a_target_with_messages_far_older_than_their_wait_takes_less_than_it_says() -> None:
    assert worth(load=90.0)["hold"] == 100
    assert worth(load=90.0, oldest=300.0)["hold"] < 70


def test_a_share_that_nobody_reported_counts_as_the_usual_one() -> None:
    unknown = dict(CALM)
    del unknown["retries"]
    seen = Seen(unknown, STORM.ask("retry_storm", Random(1)).candidates)
    random = Random(3)
    outcomes = [STORM.outcomes(seen, random)[0] for _ in range(300)]
    assert mean(outcomes) == pytest.approx(worth(retries=15.0)["throttle"], abs=2)
