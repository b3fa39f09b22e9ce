"""Which decisions of a data set a method learns from: those of points that it can learn at."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from drifted import POINT, quick, splits, world
from typer.testing import CliRunner

from federation.errors import Refused
from federation.gate import APPROVAL
from federation.policy.embedded import Embedded
from managers.uim.cli.app import app
from tests.policy.plant import VALVE, Question, Works
from training.dataset import store
from training.dataset.build import Request, build
from training.dataset.example import Logged
from training.dataset.simulated import logged
from training.learning.run import judge
from training.scenarios.generate import scenario

SURE = Question((-6.0, -0.011, -5.0, -7.0), 1)
"""The policy closes."""


@pytest.fixture
def confirmed(tmp_path: Path) -> Iterator[list[Logged]]:
    """What a data set holds of a ledger on which a person confirmed what the policy decided."""
    works = Works(tmp_path)
    works.mode(f"{VALVE.name}/close", "approve")
    works.ask([SURE], lambda: 0.5)
    (case,) = [one for one in works.federation.desks["gate"].state.cases.values() if one.point == APPROVAL.name]
    works.federation.answer("gate", case.decision, "approve", by="ada")
    data = store.load(build(works.store, works.points, Request(), tmp_path / "sets"))
    yield [*data.train, *data.validation, *data.test]
    works.close()


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_approvals_are_in_the_data_set_and_left_out_of_what_is_learned(method: str, confirmed: list[Logged]) -> None:
    assert {one.point for one in confirmed} == {VALVE.name, APPROVAL.name}
    left: dict[str, str] = {}
    learned, told = splits()
    found = judge(method, quick(), [*learned, *confirmed], told, left.__setitem__)
    assert {case.logged.point for each in found for case in each} == {POINT}
    assert left[APPROVAL.name] == "`gate.approval` is no decision point of a manager"


def decided(point: str, count: int) -> list[Logged]:
    drawn = scenario(point)
    examples = list(drawn.examples("train", count, completions=1))
    return logged(drawn, examples, lambda asked: [(0.0,) * len(one.candidates) for one in asked], 0.1)


def test_a_point_with_few_outcomes_keeps_no_other_from_being_learned_at() -> None:
    learned, told = splits()
    left: dict[str, str] = {}
    found = judge("kto", quick(), [*learned, *decided("uam.restart", 5)], told, left.__setitem__)
    assert {case.logged.point for each in found for case in each} == {POINT}
    assert left == {"uam.restart": "5 decisions of `uam.restart` have an outcome; 20 are needed to learn from"}


def test_where_no_point_is_left_every_reason_is_given() -> None:
    with pytest.raises(Refused) as refused:
        judge("kto", quick(), [*decided("uam.restart", 5), *decided("ucm.storm", 3)], [])
    assert "5 decisions of `uam.restart`" in refused.value.message
    assert "3 decisions of `ucm.storm`" in refused.value.message
    assert refused.value.cure


def test_the_card_of_a_policy_names_the_points_that_it_learned_at(tmp_path: Path, confirmed: list[Logged]) -> None:
    learned, told = splits()
    recipe = store.Recipe({POINT: world().point.schema.version})
    data = store.write(tmp_path / "data", recipe, {"train": [*learned, *confirmed], "validation": told, "test": ()})
    arguments = ("dpo", "--data", str(data), "--out", str(tmp_path / "new"), "--passes", "1")
    made = CliRunner().invoke(app, ["train", *arguments])
    assert made.exit_code == 0, made.exception
    assert "gate.approval is left out" in made.stderr
    assert list(Embedded(tmp_path / "new", 1).card.points) == [POINT]
