"""What happens in the world of `uam.restart`, and how hard its questions are."""

from random import Random
from statistics import mean

import pytest

from federation.records import Candidate
from training.scenarios.restart import DAY, HOUR, MINUTE, RESTART
from training.scenarios.world import Seen

CRASHED = {
    "status": "exited",
    "exit_code": 1,
    "restarts": 6,
    "uptime": 10.0,
    "failed_checks": None,
    "memory_used": 30.0,
    "priority": 5,
    "declared_for": DAY,
    "others_failing": 0,
}
CHOICES = tuple(Candidate(action) for action in ("restart", "give_up", "hold"))


def worth(**facts):
    """Of every action, on average over many completions."""
    seen, random = Seen(CRASHED | facts, CHOICES), Random(5)
    drawn = zip(*(RESTART.outcomes(seen, random) for _ in range(300)), strict=True)
    return {candidate.action: mean(one) for candidate, one in zip(CHOICES, drawn, strict=True)}


def best(**facts):
    found = worth(**facts)
    return max(found, key=found.__getitem__)


@pytest.mark.parametrize(
    ("facts", "choice"),
    [
        ({"exit_code": 127, "declared_for": HOUR}, "give_up"),
        ({"exit_code": 127, "declared_for": HOUR, "priority": 0}, "hold"),
        ({"exit_code": 75, "uptime": MINUTE}, "restart"),
        ({"exit_code": 1, "declared_for": HOUR}, "give_up"),
        ({"exit_code": 1, "declared_for": HOUR, "others_failing": 5}, "restart"),
        ({"exit_code": -9, "memory_used": 99.0, "uptime": MINUTE}, "give_up"),
        ({"exit_code": -9, "memory_used": 40.0, "uptime": MINUTE}, "restart"),
        ({"exit_code": -11, "uptime": 5 * HOUR, "declared_for": 200 * DAY}, "restart"),
        ({"status": "unhealthy", "exit_code": None, "failed_checks": 4, "uptime": 5 * DAY}, "restart"),
    ],
)
def test_whether_another_restart_helps(facts, choice):
    assert best(**facts) == choice


def test_a_restart_that_helps_is_worth_more_the_more_the_instance_matters():
    passing = {"exit_code": 75, "others_failing": 5}
    assert worth(**passing, priority=9)["restart"] > worth(**passing, priority=1)["restart"]


def test_what_limps_still_serves_when_it_is_left_as_it_is():
    assert worth(status="unhealthy", exit_code=None, failed_checks=5)["hold"] > worth()["hold"] == 0.0
