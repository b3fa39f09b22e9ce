"""Calibration by answers: which of them are a fair sample, and which the policy has not seen."""

import shutil
from pathlib import Path

import msgspec

from federation.policy import calibration
from federation.policy.tier import SHIPPED
from managers.roster import POINTS
from training.dataset import store
from training.dataset.example import Logged
from training.dataset.simulated import logged
from training.policy.answered import calibrated, fair, halves
from training.scenarios.generate import scenario

POINT = "urm.resource_pressure"


def decided(count: int, tier: str, why: str) -> list[Logged]:
    drawn = scenario(POINT)
    examples = list(drawn.examples("train", count, completions=1))
    found = logged(drawn, examples, lambda questions: [(0.0,) * len(one.candidates) for one in questions], 0.0)
    return [msgspec.structs.replace(one, tier=tier, why=why) for one in found]


def test_while_the_policy_may_decide_nothing_every_answer_is_a_fair_one() -> None:
    everything = decided(50, "operator", "all")
    assert fair(everything) == everything


def test_of_unsure_questions_as_many_stay_as_of_sure_ones_were_drawn() -> None:
    sure, drawn = decided(300, "policy", ""), decided(100, "operator", "drawn")
    kept = fair([*sure, *drawn, *decided(400, "operator", "unsure")])
    assert all(one.why != "" for one in kept)
    assert sum(one.why == "drawn" for one in kept) == 100
    assert 60 <= sum(one.why == "unsure" for one in kept) <= 140


def test_where_nothing_was_drawn_unsure_questions_alone_tell_nothing() -> None:
    assert fair([*decided(100, "policy", ""), *decided(100, "operator", "unsure")]) == []


def test_the_calibration_says_that_it_rests_on_answers(tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    shutil.copytree(SHIPPED, folder)
    (folder / "calibration.json").unlink()
    data = store.DataSet("b" * 64, store.Recipe(points={POINT: 2}), decided(80, "operator", "all"), [], [])
    points = [point for point in POINTS if point.name == POINT]
    made = calibrated(folder, [data], points)
    kept = calibration.load(folder / "calibration.json", made.policy)
    assert (kept, kept.source, kept.data) == (made, "answered", data.digest)
    assert calibration.load(SHIPPED / "calibration.json", made.policy).source == "simulated"


def test_nothing_that_the_policy_learned_from_is_calibrated_on() -> None:
    first = decided(100, "operator", "all")
    second = [msgspec.structs.replace(one, decision=f"{one.decision}b") for one in decided(40, "advisor", "all")]
    recipe = store.Recipe(points={POINT: 2})
    learned = store.DataSet("a" * 64, recipe, first[:80], first[80:90], first[90:])
    later = store.DataSet("b" * 64, recipe, second[:32], second[32:36], second[36:])
    fitting, testing = halves([learned, later], learned.digest, scenario(POINT).point.schema)
    assert {one.decision for one in first[:80]}.isdisjoint(one.decision for one in fitting if one.tier == "operator")
    assert [one for one in fitting if one.tier == "operator"] == first[80:90]
    assert [one for one in testing if one.tier == "operator"] == first[90:]
    assert (len(fitting), len(testing)) == (30, 30)
