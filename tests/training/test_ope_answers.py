"""Where the log cannot tell what a policy gains, what people answered can."""

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from federation.policy.question import Question, Scores
from federation.policy.tier import SHIPPED
from managers.uim.cli.app import app
from training.cli.again import expected
from training.dataset import store
from training.dataset.example import Logged
from training.dataset.simulated import logged
from training.ope.answers import LEAST, agreement
from training.scenarios.generate import scenario

POINT = "urm.resource_pressure"
SCHEMA = scenario(POINT).point.schema


def answered(count: int, why: str = "all", name: str = "") -> list[Logged]:
    """By an operator who always takes the first candidate, which comes to good. name: tells decisions from others."""
    examples = list(scenario(POINT).examples("train", count, completions=1))
    found = logged(scenario(POINT), examples, lambda asked: [(0.0,) * len(one.candidates) for one in asked], 0.0)
    told = {"tier": "operator", "why": why, "choice": 0, "reward": 1.0, "propensities": ()}
    return [msgspec.structs.replace(one, **told, decision=one.decision + name) for one in found]


def data(name: str, examples: list[Logged], learned: int = 0) -> store.DataSet:
    return store.DataSet(name, store.Recipe(points={POINT: 2}), examples[:learned], [], examples[learned:])


def written(out: Path, count: int) -> Path:
    splits: dict[str, list[Logged]] = {"train": [], "validation": [], "test": answered(count)}
    return store.write(out, store.Recipe(points={POINT: 2}), splits)


def first(asked: Sequence[Question]) -> list[Scores]:
    return [(0.0, *(-9.0 for _ in one.candidates[1:])) for one in asked]


def last(asked: Sequence[Question]) -> list[Scores]:
    return [(*(-9.0 for _ in one.candidates[1:]), 0.0) for one in asked]


def test_who_chooses_as_people_did_gains_over_who_did_not() -> None:
    found = agreement(SCHEMA, [data("a", answered(LEAST))], "", first, last)
    assert found is not None
    assert (found.decisions, found.right, found.before) == (LEAST, 1.0, 0.0)
    assert found.gain.value == found.gain.low == 1.0
    same = agreement(SCHEMA, [data("a", answered(LEAST))], "", first, first)
    assert same is not None
    assert (same.gain.low, same.gain.high) == (0.0, 0.0)


def test_what_it_learned_from_is_no_evidence() -> None:
    learned, fresh = data("learned", answered(3 * LEAST), 2 * LEAST), data("fresh", answered(50, name="b"))
    found = agreement(SCHEMA, [learned, fresh], "learned", first, last)
    assert found is not None
    assert found.decisions == LEAST + 50
    assert agreement(SCHEMA, [data("learned", answered(LEAST), LEAST)], "learned", first, last) is None


def test_what_it_learned_from_is_no_evidence_in_another_data_set_and_nothing_counts_twice() -> None:
    every = answered(3 * LEAST)
    learned = data("learned", every, 2 * LEAST)
    found = agreement(SCHEMA, [data("whole", every), learned, data("again", every)], "learned", first, last)
    assert found is not None
    assert found.decisions == LEAST


def test_answers_to_an_older_version_of_the_point_are_no_evidence() -> None:
    older = [msgspec.structs.replace(one, version=SCHEMA.version - 1) for one in answered(LEAST)]
    assert agreement(SCHEMA, [data("a", older)], "", first, last) is None


@pytest.mark.parametrize("told", [{"reward": 0.0}, {"why": "unsure"}], ids=["came to nothing", "only the unsure"])
def test_answers_that_prove_nothing_show_no_gain(told: dict[str, object]) -> None:
    examples = [msgspec.structs.replace(one, **told) for one in answered(LEAST)]
    found = agreement(SCHEMA, [data("a", examples)], "", first, last)
    assert found is None or found.gain.low <= 0


def test_the_command_asks_people_where_the_log_refuses_and_a_trial_may_rest_on_it(tmp_path: Path) -> None:
    folder = store.write(
        tmp_path, store.Recipe(points={POINT: 2}), {"train": [], "validation": [], "test": answered(200)}
    )
    words = ["policy", "estimate", "--data", str(folder), "--policy", str(SHIPPED), "--json"]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 1
    assert "refused" in json.loads(refused.stdout)["points"][POINT]
    shown = CliRunner().invoke(app, [*words, "--against", str(SHIPPED), "--answers", str(folder)])
    assert shown.exit_code == 0, shown.output
    said = json.loads(shown.stdout)
    assert said["points"][POINT]["answers"]["gain"]["value"] == 0.0
    assert expected(said)[POINT] == {"improvement": 0.0, "low": 0.0, "speed": None, "decisions": 200, "of": "answers"}


def test_half_of_the_comparison_is_no_comparison(tmp_path: Path) -> None:
    folder = store.write(
        tmp_path, store.Recipe(points={POINT: 2}), {"train": [], "validation": [], "test": answered(2)}
    )
    refused = CliRunner().invoke(app, ["policy", "estimate", "--data", str(folder), "--answers", str(folder)])
    assert "--against and --answers belong together" in str(refused.exception)
