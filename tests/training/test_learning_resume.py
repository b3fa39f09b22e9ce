"""A training that is killed goes on where it was, to the same end, and never beside another one."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from drifted import POINT, judged, quick, splits, world
from typer.testing import CliRunner

from federation.errors import Refused
from federation.policy import card
from federation.policy.tier import SHIPPED
from managers.uim.cli.app import app
from training.dataset.store import Recipe, write
from training.learning.run import alone, train

PATIENCE = 240.0

# Killed by itself, at a moment that is the same however fast the machine is: the second checkpoint is nearly written.
KILLED = """
import os, signal, sys

states = 0

def watch(event, about):
    global states
    if event == "open" and str(about[0]).endswith("trainer_state.json") and "w" in str(about[1]):
        states += 1
        if states == 2:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
from managers.uim.cli.app import app
app(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def learn(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command, without where its policy goes."""
    folder = tmp_path_factory.mktemp("data")
    preset = folder / "quick.yaml"
    preset.write_text(json.dumps(quick().model_dump(mode="json", exclude_none=True)))
    learned, held = splits(400)
    few = {"train": learned[:96], "validation": held[:60], "test": ()}
    data = write(folder, Recipe({POINT: world().point.schema.version}), few)
    return ["train", "grpo", "--data", str(data), "--preset", str(preset), "--json"]


def trained(command: list[str], out: Path) -> str:
    """The version of the policy."""
    ran = CliRunner().invoke(app, [*command, "--out", str(out)], catch_exceptions=False)
    assert ran.exit_code == 0
    return card.read(out).version


def figures(out: Path) -> list[tuple[int, list[str]]]:
    """The step of each line, and what was measured there."""
    lines = map(json.loads, (out.with_name(f"{out.name}.run") / "metrics.jsonl").read_text().splitlines())
    return [(line.pop("step"), sorted(line)) for line in lines]


def test_after_kill_9_the_same_command_goes_on_to_the_same_weights(learn: list[str], tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    version = trained(learn, whole)
    script = [sys.executable, "-c", KILLED, *learn, "--out", str(killed)]
    process = subprocess.run(script, capture_output=True, timeout=PATIENCE, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert not killed.exists()
    assert len(list(tmp_path.glob("killed.run/checkpoint-*"))) == 2, "the second of them is not whole"
    assert trained(learn, killed) == version
    assert figures(killed) == figures(whole)
    with pytest.raises(Refused, match="another training") as refused:
        train("dpo", quick(), SHIPPED, judged("dpo"), tmp_path / "killed.run", lambda seen: None)
    assert refused.value.place == str(tmp_path / "killed.run")


def test_where_a_training_goes_on_no_other_one_begins(learn: list[str], tmp_path: Path) -> None:
    with alone(tmp_path / "next.run"):
        refused = CliRunner().invoke(app, [*learn, "--out", str(tmp_path / "next")]).exception
    assert isinstance(refused, Refused)
    assert (refused.code, refused.place) == ("training-now", str(tmp_path / "next.run"))
