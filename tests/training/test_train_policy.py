"""elias train policy."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from federation.errors import Refused
from managers.uim.cli.app import app
from training.policy.preset import load
from training.scenarios.generate import digest, points


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["train", "policy", *arguments])


def test_a_dry_run_says_what_would_be_trained_and_writes_nothing(tmp_path: Path) -> None:
    shown = run("--dry-run", "--json", "--out", str(tmp_path / "mine"), "--minutes", "5", "--seed", "7")
    found = json.loads(shown.stdout)
    assert (found["points"], found["data"]) == (list(points()), digest())
    assert (found["preset"]["minutes"], found["preset"]["seed"]) == (5, 7)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("steps: -1", "steps"),
        ("shape: {hidden: 30, layers: 2, heads: 4, inner: 8}", "shape"),
        ("stepz: 1", "stepz"),
    ],
)
def test_a_preset_that_is_wrong_names_the_place(text: str, place: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    kept = {key: value for key, value in load("mini").model_dump(mode="json").items() if key not in text}
    path.write_text("\n".join([text, *(f"{key}: {json.dumps(value)}" for key, value in kept.items())]))
    with pytest.raises(Refused) as refused:
        load(str(path))
    assert refused.value.place == f"{path}: {place}"


def test_a_preset_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(Refused) as refused:
        load("maxi")
    assert "mini" in refused.value.cure
