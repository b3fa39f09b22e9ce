"""Past decisions are found by how near their facts were, with who chose and what came of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.advisors.similar import Similar, similar
from federation.distance import distance
from federation.records import Asked, Kind, Outcome, decode
from tests.federation.lab import FURNACE, Laboratory

SCHEMA = FURNACE.schema
SPANS = {"heat": 100.0, "gas": 50.0}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Laboratory]:
    """Without a policy, so that what no rule decides waits for a person."""
    made = Laboratory(tmp_path)
    yield made
    made.close()


def decided(lab: Laboratory, heat: float, action: str = "hold", words: str = "", **args: str) -> str:
    waiting = lab.measured(heat, f"f{heat}")
    lab.federation.answer("lab", waiting.id, action, words=words, **args)
    return str(waiting.id)


def found(lab: Laboratory, heat: float, limit: int = 5) -> list[Similar]:
    waiting = lab.measured(heat, "now")
    (record,) = [r for r in lab.store.decision(waiting.id) if r.header.kind == Kind.ASKED]
    asked: Asked = decode(Kind.ASKED, record.body)
    return similar(lab.store, SCHEMA, asked, waiting.id, limit)


@pytest.mark.parametrize(
    ("other", "apart"),
    [
        ({"heat": 80.0, "gas": 20.0}, 0.0),
        ({"heat": 90.0, "gas": 20.0}, 0.05),
        ({"heat": 80.0, "gas": None}, 0.5),
        ({"heat": 80.0}, 0.5),
        ({"heat": 80.0, "gas": 500.0}, 0.5),
        ({}, 1.0),
    ],
)
def test_the_distance_is_the_mean_over_the_facts(other: dict[str, float | None], apart: float) -> None:
    one = {"heat": 80.0, "gas": 20.0}
    assert distance(SCHEMA, SPANS, one, other) == pytest.approx(apart)
    assert distance(SCHEMA, SPANS, other, one) == pytest.approx(apart)


def test_an_unknown_fact_is_not_an_absent_one() -> None:
    assert distance(SCHEMA, SPANS, {"heat": 80.0, "gas": None}, {"heat": 80.0}) == 0.5
    assert distance(SCHEMA, SPANS, {"heat": 80.0}, {"heat": 80.0}) == 0.0


def test_the_nearest_come_first_with_what_was_chosen_and_said(lab: Laboratory) -> None:
    far, near = decided(lab, 72.0), decided(lab, 88.0, "cool", "it was rising", by="gently")
    first, second = found(lab, 85.0)
    assert (first.decision, second.decision) == (near, far)
    assert (first.answered.action, first.answered.words) == ("cool", "it was rising")
    assert 0 < first.distance < second.distance <= 1


async def test_what_came_of_it_is_told_where_it_is_known(lab: Laboratory) -> None:
    near = decided(lab, 88.0, "cool", by="gently")
    assert found(lab, 85.0)[0].outcome is None
    await lab.federation.act()
    (one,) = found(lab, 85.0)
    assert (one.decision, one.outcome) == (near, Outcome("done"))


def test_what_a_rule_decided_and_what_nobody_answered_are_no_examples(lab: Laboratory) -> None:
    lab.measured(95.0, "hot")
    lab.measured(80.0, "open")
    lab.measured(81.0, "late")
    lab.clock.advance(61)
    lab.federation.tick()
    assert found(lab, 82.0) == []


def test_the_same_case_over_and_over_is_one_example(lab: Laboratory) -> None:
    for number in range(5):
        waiting = lab.measured(80.0, f"twin{number}")
        lab.federation.answer("lab", waiting.id, "hold")
    decided(lab, 75.0)
    assert [one.asked.facts["heat"] for one in found(lab, 81.0, limit=2)] == [80.0, 75.0]


def test_no_more_than_asked_for(lab: Laboratory) -> None:
    for heat in (71.0, 72.0, 73.0):
        decided(lab, heat)
    assert len(found(lab, 74.0, limit=2)) == 2
    assert found(lab, 74.5, limit=0) == []
