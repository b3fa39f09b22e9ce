"""What is optimised first: ULM answers what a profile asks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from federation.records import Kind, decode
from federation.replies import Rejected

from .test_suggestion import Room

SLOW = {"slowdown": "45%", "share": "30%", "pattern": "memory_allocation_in_loop", "tested": "80%", "samples": 40}
POOL = {"gain": "15%", "confidence": "60%", "effort": "2h", "risk": "5%"}
MOVE = {"gain": "30%", "confidence": "80%", "effort": "4h", "risk": "10%"}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.store.close()


def ask(room: Room, possibilities: Any, subject: str = "parser", **facts: Any) -> Any:
    return room.post("elias.component.profiled", subject, **SLOW | facts, possibilities=possibilities)


def test_the_possibilities_are_proposed_with_their_figures_the_largest_gain_first(room: Room) -> None:
    ask(room, {"pool_connections": POOL, "move_allocation_outside_loop": MOVE})
    (record,) = room.store.read(points=["ulm.optimisation"], kinds=[Kind.ASKED])
    asked = decode(Kind.ASKED, record.body)
    assert asked.facts["possibilities"] == 2
    assert [candidate.args.get("what") for candidate in asked.candidates] == [
        "move_allocation_outside_loop",
        "pool_connections",
        None,
    ]
    assert asked.candidates[0].attributes == {
        "change.gain": 30.0,
        "change.confidence": 80.0,
        "change.effort": 14400.0,
        "change.risk": 10.0,
    }
    assert asked.offers == ["optimise", "hold"]


def test_what_breaks_too_often_or_nobody_knows_the_risk_of_is_not_offered(room: Room) -> None:
    ask(room, {"pool_connections": POOL | {"risk": "70%"}, "cache_repeated_work": {"gain": 90}})
    (record,) = room.store.read(points=["ulm.optimisation"], kinds=[Kind.ASKED])
    candidates = decode(Kind.ASKED, record.body).candidates
    assert [candidate.forbidden for candidate in candidates] == ["too_risky", "too_risky", None]


@pytest.mark.parametrize(("facts", "clause"), [({"slowdown": "4%"}, "fast_enough"), ({"share": "1%"}, "takes_little")])
def test_a_component_that_is_not_worth_it_is_left_alone(room: Room, facts: dict[str, Any], clause: str) -> None:
    reply = ask(room, {"pool_connections": POOL}, **facts)
    assert (reply.action, reply.clause) == ("hold", clause)


@pytest.mark.parametrize(
    ("possibilities", "place", "said"),
    [
        (None, "data.possibilities", "not an object"),
        ({}, "data.possibilities", "not an object"),
        ({"pool_conections": POOL}, "data.possibilities", "pool_conections"),
        ({"pool_connections": 5}, "data.possibilities.pool_connections", "not an object"),
        ({"pool_connections": {"gian": 5}}, "data.possibilities.pool_connections", "gian"),
        ({"pool_connections": {"gain": "140%"}}, "data.possibilities.pool_connections.gain", "140"),
        ({"pool_connections": {"effort": "5%"}}, "data.possibilities.pool_connections.effort", "duration"),
        ({"pool_connections": {"risk": None}}, "data.possibilities.pool_connections.risk", "null"),
    ],
)
def test_a_malformed_profile_is_refused_with_place_and_cure(
    room: Room, possibilities: Any, place: str, said: str
) -> None:
    refused = ask(room, possibilities)
    assert isinstance(refused, Rejected)
    assert refused.place.endswith(place)
    assert said in refused.message
    assert refused.cure


def test_a_profile_of_nothing_is_refused(room: Room) -> None:
    assert ask(room, {"pool_connections": POOL}, subject="").code == "no-subject"
