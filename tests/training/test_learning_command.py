"""elias train sft, dpo, kto, grpo and distil."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from drifted import HELD, POINT, data_set, log, regrets, served, shipped
from typer.testing import CliRunner

from federation.errors import Refused
from federation.policy.embedded import Embedded
from federation.policy.tier import SHIPPED
from managers.uim.cli.app import app
from training.evaluation.bootstrap import interval
from training.learning.preset import METHODS


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["train", *arguments])


@pytest.mark.parametrize("method", METHODS)
def test_a_dry_run_says_what_it_takes_and_writes_nothing(method: str, tmp_path: Path) -> None:
    data = data_set(tmp_path)
    shown = run(method, "--data", str(data), "--out", str(tmp_path / "new"), "--dry-run", "--json")
    said = json.loads(shown.stdout)
    assert said["data"] == data.name
    assert said["steps"] > 0
    assert said["tokens"] > said["examples"] * 20
    assert 0 < said["memory_gib"]["total"] < said["memory_gib"]["allowed"]
    assert str(tmp_path / "new" / "card.json") in said["writes"]
    assert list(tmp_path.iterdir()) == [data]


WITHOUT_TORCH = """
import sys
for name in ("torch", "transformers", "trl", "peft", "datasets", "sklearn"):
    sys.modules[name] = None
from managers.uim.cli.app import app
app(["train", "grpo", "--data", sys.argv[1], "--dry-run", "--json"])
"""


def test_a_dry_run_needs_no_torch(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, str(data_set(tmp_path))]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    assert json.loads(shown.stdout)["memory_gib"]["total"] > 0


def test_a_preset_for_a_large_policy_foretells_its_memory_without_it(tmp_path: Path) -> None:
    arguments = ("--preset", "deepseek-coder-6.7b-16gb", "--from", str(tmp_path / "not-here"), "--dry-run", "--json")
    said = json.loads(run("sft", "--data", str(data_set(tmp_path)), *arguments).stdout)
    assert said["parameters"] == pytest.approx(6.7e9, rel=0.02)
    assert 4 < said["memory_gib"]["total"] < 15.5


def test_without_torch_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "trl" else found(name))
    refused = run("sft", "--data", str(data_set(tmp_path))).exception
    assert isinstance(refused, Refused)
    assert refused.cure == "pip install 'elias[train]'"


def test_what_is_there_already_is_not_written_over(tmp_path: Path) -> None:
    refused = run("sft", "--data", str(data_set(tmp_path)), "--out", str(SHIPPED)).exception
    assert isinstance(refused, Refused)
    assert refused.place == str(SHIPPED)


def test_the_new_policy_has_less_regret_and_its_card_says_what_it_was_made_of(tmp_path: Path) -> None:
    data, out = data_set(tmp_path), tmp_path / "new"
    shown = run("distil", "--data", str(data), "--out", str(out), "--passes", "6", "--probe", "--json")
    said = json.loads(shown.stdout)
    card = Embedded(out, 1).card
    assert said["version"] == card.version
    assert (card.preset["method"], card.points) == ("distil", {POINT: card.points[POINT]})
    advised = sum(one.advice is not None for one in log())
    assert card.data["digest"] == data.name
    assert card.data["from"] == Embedded(SHIPPED, 1).version
    assert card.data["train"] + card.data["validation"] == advised
    assert card.data["validation"] == HELD // 3
    assert said["score"]["after"] == card.metrics["overall"]["after"]
    probed = card.metrics["probe"]
    assert (probed["before"], probed["after"]) == pytest.approx((probed["chance"], probed["chance"]), abs=0.15)
    low, _ = interval(regrets(shipped()) - regrets(served(out)))
    assert low > 0
