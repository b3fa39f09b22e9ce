"""What happens in the world of `uim.rollout`, and how hard its questions are."""

from random import Random
from statistics import mean

import pytest

from managers.uim.rollout import rollout_candidates
from training.scenarios.rollout import ROLLOUT
from training.scenarios.world import Seen

SOUND = {
    "change": "fix",
    "share": 25.0,
    "errors": 0.2,
    "errors_before": 0.2,
    "latency": 0.1,
    "latency_before": 0.1,
    "requests": 50_000,
    "elapsed": 3600.0,
    "load": 40.0,
    "dependents": 3,
    "reversible": True,
}


def worth(**facts):
    """Of every choice, on average over many completions; by its share, or by its name."""
    seen = Seen(SOUND | facts, tuple(rollout_candidates(facts.get("share", SOUND["share"]))))
    random = Random(5)
    drawn = zip(*(ROLLOUT.outcomes(seen, random) for _ in range(300)), strict=True)
    return {c.args.get("share", c.action): mean(one) for c, one in zip(seen.candidates, drawn, strict=True)}


def best(**facts):
    found = worth(**facts)
    return max(found, key=found.__getitem__)


@pytest.mark.parametrize(
    ("facts", "choice"),
    [
        ({}, 100.0),
        ({"errors": 6.0}, "roll_back"),
        ({"latency": 0.19, "change": "rewrite"}, "roll_back"),
        ({"latency": 0.13, "load": 76.0}, 50.0),
        ({"elapsed": 20.0, "change": "rewrite"}, "hold"),
        ({"errors": 3.2, "dependents": 12}, "roll_back"),
        ({"errors": 3.2, "dependents": 0}, 100.0),
        ({"errors": 6.0, "requests": 10, "elapsed": 20.0}, "hold"),
    ],
    ids=["sound", "failing", "slow", "room for half", "cold", "many callers", "few callers", "hardly seen"],
)
def test_how_far_it_should_go(facts, choice):
    assert best(**facts) == choice


def test_a_roll_back_that_loses_what_was_written_costs_more():
    assert worth(share=50.0, reversible=False)["roll_back"] < worth(share=50.0)["roll_back"]


def test_a_few_requests_say_little_of_how_it_will_fail():
    few, many = worth(errors=8.0, requests=10), worth(errors=8.0, requests=50_000)
    assert many[100.0] < few[100.0] < worth()[100.0]
