"""`elias train METHOD --as-job`: the same training, as a job of the cluster that is watched from here."""

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.running import Running
from federation.policy import card
from tests.e2e.asking import cli
from training.dataset.example import Advice, Logged
from training.dataset.simulated import logged
from training.dataset.store import Recipe, write
from training.scenarios.generate import scenario

POINT = "urm.resource_pressure"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """What an advisor decided, always in the best way."""
    world = scenario(POINT)
    examples = list(world.examples("train", 300))
    even = logged(world, examples, lambda asked: [(0.0,) * len(one.candidates) for one in asked], 0.0)
    best = [max(range(len(one.right)), key=one.right.__getitem__) for one in examples]
    advised = [_advised(one, choice) for one, choice in zip(even, best, strict=True)]
    recipe = Recipe({POINT: world.point.schema.version})
    return write(tmp_path, recipe, {"train": advised[:200], "validation": advised[200:], "test": ()})


def _advised(one: Logged, choice: int) -> Logged:
    above: dict[str, Any] = {"choice": choice, "propensities": (), "advice": Advice("simulated", choice, 0.9)}
    return msgspec.structs.replace(one, tier="advisor", **above)


def test_a_training_runs_as_a_job_and_its_run_is_in_mlflow(elias: Running, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "next"
    command = ["train", "distil", "--data", str(data), "--passes", "1", "--out", str(out), "--as-job", "--json"]
    ended = json.loads(cli(elias, *command).stdout.splitlines()[-1])
    assert (ended["state"], ended["exit_code"]) == ("done", 0)
    assert re.fullmatch("train-distil-[0-9a-f]{8}", ended["id"])
    version = card.read(out).version
    with sqlite3.connect(elias.state / "mlflow" / "mlflow.db") as database:
        kept = database.execute("select value from tags where key = 'elias.policy'").fetchall()
    database.close()
    assert (version,) in kept
