"""What happens in the world of `urm.resource_pressure`, and how hard its questions are."""

from random import Random
from statistics import mean

import pytest

from federation.records import Candidate
from training.scenarios.pressure import GIB, PRESSURE
from training.scenarios.world import Seen

CROWDED = {"memory": 90.0, "memory_trend": 0.0, "gpu": 95.0, "waiting": 0, "cordoned": False}
MOVE = {"target.memory_free": 200 * GIB, "job.memory": 40 * GIB, "job.priority": 1}


def worth(move=None, free=200 * GIB, **facts):
    """Of every action, on average over many completions. free: memory on the target of new work."""
    candidates = (
        Candidate("scale_out", {}, {"target.memory_free": free}),
        Candidate("migrate", {}, MOVE | (move or {})),
        Candidate("hold"),
    )
    seen, random = Seen(CROWDED | facts, candidates), Random(5)
    drawn = zip(*(PRESSURE.outcomes(seen, random) for _ in range(300)), strict=True)
    return {candidate.action: mean(one) for candidate, one in zip(candidates, drawn, strict=True)}


def best(**given):
    found = worth(**given)
    return max(found, key=found.__getitem__)


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ({}, "hold"),
        ({"memory_trend": 5.0}, "migrate"),
        ({"memory_trend": 5.0, "move": {"job.memory": GIB}}, "hold"),
        ({"waiting": 10, "move": {"job.priority": 8}}, "scale_out"),
        ({"waiting": 10, "memory_trend": -4.0}, "hold"),
        ({"waiting": 10, "free": 10 * GIB}, "migrate"),
        ({"waiting": 10, "cordoned": True}, "hold"),
        ({"memory_trend": 4.0, "move": {"job.priority": 9}}, "hold"),
        ({"memory_trend": 3.5}, "migrate"),
        ({"memory_trend": 3.5, "move": {"target.memory_free": 50 * GIB}}, "hold"),
    ],
)
def test_what_helps_a_crowded_node(given, choice):
    assert best(**given) == choice


def test_it_proposes_what_the_manager_would():
    random = Random(3)
    for family in PRESSURE.families:
        seen = PRESSURE.ask(family, random)
        actions = [candidate.action for candidate in seen.candidates]
        assert actions.count("shed_load") == 3
        assert not (seen.facts["cordoned"] and "scale_out" in actions)
        assert actions[-1] == "hold"
