"""What happens in the world of `ufm.dispatch`, and how hard its questions are."""

from random import Random
from statistics import mean

import pytest

from federation.records import Candidate
from training.scenarios.dispatch import DISPATCH, GB, HOUR
from training.scenarios.world import Seen

TASK = {
    "kind": "batch",
    "vram": 32 * GB,
    "duration": HOUR,
    "deadline": None,
    "data": 10 * GB,
    "restartable": True,
    "frees_in": 4 * HOUR,
    "fitting": 1,
    "starts_in": 400.0,
}
NODE = {
    "target.load": 30.0,
    "target.vram_free": 80 * GB,
    "target.wait": 360.0,
    "target.bandwidth": GB // 4,
    "target.succeeded": 99.0,
}


def speed(task=None, node=None):
    """On average over many completions: on a node, and when held."""
    seen = Seen(TASK | (task or {}), (Candidate("dispatch", {"node": "a"}, NODE | (node or {})), Candidate("hold")))
    random = Random(5)
    return [mean(one) for one in zip(*(DISPATCH.outcomes(seen, random) for _ in range(300)), strict=True)]


@pytest.mark.parametrize(
    ("task", "node"),
    [
        ({}, {"target.wait": 2 * HOUR}),
        ({}, {"target.load": 95.0}),
        ({"data": 2000 * GB}, {"target.bandwidth": GB // 20}),
        ({"restartable": False}, {"target.succeeded": 80.0}),
        ({}, {"target.vram_free": 24 * GB}),
        ({"kind": "training"}, {"target.vram_free": 33 * GB}),
        ({"deadline": 1.05 * HOUR}, {}),
    ],
    ids=["waiting", "busy", "far", "unreliable", "too small", "bare memory for training", "too late"],
)
def test_what_speaks_against_a_node_costs_speed(task, node):
    assert speed(task, node)[0] < 0.85 * speed()[0]


def test_the_bare_memory_is_enough_for_what_does_not_grow():
    assert speed(node={"target.vram_free": 33 * GB})[0] == pytest.approx(speed()[0], rel=0.02)


def test_inference_suffers_most_from_neighbours_and_storage_least():
    busy = {"target.load": 90.0}
    assert (
        speed({"kind": "inference"}, busy)[0] < speed({"kind": "batch"}, busy)[0] < speed({"kind": "storage"}, busy)[0]
    )


def test_to_hold_is_right_where_a_quiet_node_is_free_soon():
    on_node, held = speed({"frees_in": 60.0}, {"target.load": 90.0, "target.wait": HOUR})
    assert held > on_node + DISPATCH.epsilon
    on_node, held = speed()
    assert held < on_node - DISPATCH.epsilon


def test_no_load_on_a_node_where_much_waits_is_a_stale_report():
    waiting = {"target.wait": HOUR}
    assert speed(node=waiting | {"target.load": 0.0})[0] < speed(node=waiting | {"target.load": 10.0})[0]


def test_a_figure_that_nobody_reported_counts_as_the_usual_one():
    known, unknown = ({**NODE}, {k: v for k, v in NODE.items() if k != "target.load"})
    known["target.load"] = 50.0
    random = Random(2)
    on = [
        mean(
            DISPATCH.outcomes(Seen(TASK, (Candidate("dispatch", {"node": "a"}, node),)), random)[0] for _ in range(300)
        )
        for node in (known, unknown)
    ]
    assert on[0] == pytest.approx(on[1], rel=0.05)
