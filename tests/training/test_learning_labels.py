"""Decisions as prompts, presets, and what a training will take."""

import json
from pathlib import Path
from random import Random

import pytest
from drifted import log

from federation.errors import Refused
from federation.policy.tier import SHIPPED
from training.learning import estimate
from training.learning.labels import permuted
from training.learning.preset import METHODS, load, names


def test_a_decision_in_another_order_is_the_same_decision() -> None:
    random = Random(0)
    for before in log(60):
        order = random.sample(range(len(before.logs)), len(before.logs))
        after = permuted(before, order)
        assert after.question.candidates[after.choice] == before.question.candidates[before.choice]
        assert before.preferred is not None
        assert after.preferred is not None
        assert after.question.candidates[after.preferred] == before.question.candidates[before.preferred]
        assert after.logs[after.preferred] == max(before.logs)
        if before.propensities:
            assert after.propensities[after.choice] == before.propensities[before.choice]
        if before.advice is not None:
            assert after.advice is not None
            assert after.advice.choice == after.choice
        assert after.overridden == before.overridden
        assert permuted(after, [order.index(index) for index in range(len(order))]) == before


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("method", METHODS)
def test_every_preset_fits_the_memory_that_it_names(name: str, method: str) -> None:
    preset = load(name)
    shape = preset.shape or estimate.shape(SHIPPED)
    memory = estimate.memory(shape, preset, method, longest=600)
    assert memory.total / estimate.GIB < preset.memory * max(preset.cards, 1)


def test_the_parameters_of_the_shipped_policy_are_counted_right() -> None:
    norms = 96 * (2 * 4 + 1)
    card = json.loads((SHIPPED / "card.json").read_text())
    assert estimate.parameters(estimate.shape(SHIPPED)) == card["parameters"] - norms


def test_weights_in_four_bits_take_a_quarter_of_those_in_sixteen() -> None:
    four, sixteen = load("deepseek-coder-6.7b-16gb"), load("deepseek-coder-6.7b-2x16gb")
    assert four.shape is not None
    assert estimate.parameters(four.shape) == pytest.approx(6.7e9, rel=0.02)
    held = [estimate.memory(four.shape, preset, "sft", 600).weights for preset in (four, sixteen)]
    assert 3.4 < held[1] / held[0] < 4


@pytest.mark.parametrize(
    ("change", "place"),
    [({"rows": 0}, "rows"), ({"adapter": {"four_bit": True}}, ""), ({"rowz": 1}, "rowz"), ({"rows": 48}, "")],
)
def test_a_preset_that_is_wrong_names_the_place(change: dict[str, object], place: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    known = load("mini").model_dump(mode="json", exclude_none=True) | change
    path.write_text("\n".join(f"{key}: {json.dumps(value)}" for key, value in known.items()))
    with pytest.raises(Refused) as refused:
        load(str(path))
    assert refused.value.place == f"{path}: {place}"


def test_a_preset_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(Refused) as refused:
        load("maxi")
    assert "mini" in refused.value.cure
