"""`elias train again`: which commands it runs, and what it makes of their words."""

import fcntl
import json
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from federation.clock import VirtualClock
from federation.ledger.appender import Appender
from federation.ledger.store import Store
from federation.policy.promotions import Estimate
from federation.policy.tier import SHIPPED
from managers.uim.cli.app import app
from managers.ulm.training_points import TRAINABLE
from training.cli.again import PRESETS, expected


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """The settings of one whose ledger holds no decision."""
    path = tmp_path / "elias.yaml"
    path.write_text(f"state: {tmp_path / 'state'}\n", "utf-8")
    (tmp_path / "state").mkdir(mode=0o700)
    store = Store.open(f"sqlite:///{tmp_path / 'state' / 'ledger.db'}")
    Appender(store, VirtualClock(), "tests").open(force=True)
    store.close()
    return path


def again(installation: Path, *words: str) -> tuple[int, str, str]:
    ran = CliRunner().invoke(app, ["--config", str(installation), "train", "again", *words])
    return ran.exit_code, ran.stdout, f"{ran.stderr}{ran.exception}"


def test_a_dry_run_shows_the_commands_in_their_order(installation: Path, tmp_path: Path) -> None:
    out = tmp_path / "november"
    code, said, _ = again(installation, "--out", str(out), "--objective", "kto", "--dry-run")
    assert (code, out.exists()) == (0, False)
    commands = [line.split()[1:3] for line in said.splitlines()]
    assert commands == [
        ["train", "dataset"],
        ["train", "kto"],
        ["train", "dataset"],
        ["policy", "calibrate"],
        ["policy", "estimate"],
        ["policy", "register"],
    ]
    assert f"--preset mini --from {SHIPPED} --out {out / 'policy'}" in said


def test_of_a_point_whose_world_has_changed_only_what_was_decided_since_is_learned_from(
    installation: Path, tmp_path: Path
) -> None:
    words = ("--changed", "uam.restart=2026-11-01", "--changed", "ufm.dispatch=2026-11-02T10:00", "--dry-run")
    _, said, _ = again(installation, "--out", str(tmp_path / "november"), *words)
    first = said.splitlines()[0]
    assert "--changed uam.restart=2026-11-01 --changed ufm.dispatch=2026-11-02T10:00" in first


def test_what_no_preset_trains_is_refused_with_what_there_is(installation: Path, tmp_path: Path) -> None:
    (tmp_path / "models" / "qwen2.5-7b").mkdir(parents=True)
    words = ("--base", "qwen2.5-7b", "--method", "lora", "--models", str(tmp_path / "models"))
    code, _, error = again(installation, "--out", str(tmp_path / "o"), *words)
    assert code != 0
    assert "no preset trains `qwen2.5-7b` with `lora`" in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--base", "codellama-13b", "--method", "qlora"), "there is no model `codellama-13b`"),
        (("--policy", "a" * 64), f"policy {'a' * 12} is not in the store"),
    ],
)
def test_what_is_not_there_is_no_beginning(
    installation: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    code, _, error = again(installation, "--out", str(tmp_path / "o"), *words)
    assert (code != 0, said in error) == (True, True)


def test_a_step_that_fails_ends_it_and_says_where_it_goes_on(
    installation: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, _, error = again(installation, "--out", str(tmp_path / "o"))
    assert code != 0
    assert "`elias train dataset` failed" in error
    assert "no example" in capfd.readouterr().err.replace("\n", " ")


def test_estimates_are_in_percent_of_what_was_reached_where_anything_can_be_told() -> None:
    said = {
        "points": {
            "uam.restart": {"decisions": 900, "logged": {"value": -2.0}, "gain": {"value": 0.5, "low": 0.1}},
            "ufm.dispatch": {"refused": "no-support", "reason": "", "cure": ""},
            "ucm.storm": {"decisions": 900, "logged": {"value": 0.0}, "gain": {"value": 0.5, "low": 0.1}},
        }
    }
    found = msgspec.json.decode(json.dumps(expected(said)), type=dict[str, Estimate])
    assert found == {"uam.restart": Estimate(25.0, 5.0, None, 900)}


def test_a_step_that_is_killed_ends_it_as_a_signal_would_and_is_done_again(
    installation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killer = tmp_path / "bin" / "sitecustomize.py"
    killer.parent.mkdir()
    killer.write_text("import os, signal, sys\nif 'dataset' in sys.orig_argv: os.kill(os.getpid(), signal.SIGKILL)\n")
    with monkeypatch.context() as short_of_memory:
        short_of_memory.setenv("PYTHONPATH", str(killer.parent))
        code, _, error = again(installation, "--out", str(tmp_path / "o"))
    assert (code, "SIGKILL" in error) == (128 + signal.SIGKILL, True)
    code, _, error = again(installation, "--out", str(tmp_path / "o"))
    assert "`elias train dataset` failed" in error, "it was begun again, and found nothing to learn from"


STEPS = """
import json, os, sys
if "managers.uim.cli" in sys.orig_argv:
    command = " ".join(sys.orig_argv[sys.orig_argv.index("--config") + 2:])
    with open(os.environ["STEPS"]) as file:
        words, said, code = next(one for one in json.load(file) if command.startswith(one[0]))
    with open(os.environ["STEPS"] + ".done", "a") as file:
        file.write(words + "\\n")
    print(json.dumps(said), flush=True)
    os._exit(code)
"""


class Steps:
    """Ends each command of a training in the way that is told, before it does anything."""

    def __init__(self, folder: Path, out: Path, environment: pytest.MonkeyPatch) -> None:
        (folder / "steps").mkdir()
        (folder / "steps" / "sitecustomize.py").write_text(STEPS)
        environment.setenv("PYTHONPATH", str(folder / "steps"))
        environment.setenv("STEPS", str(folder / "steps.json"))
        self._told, self._done = folder / "steps.json", folder / "steps.json.done"
        (out / "policy").mkdir(parents=True)
        self.say({"train dataset --out": ({"folder": str(out / "data"), "ledger": {"time": 0}}, 0)})

    def say(self, ends: dict[str, tuple[object, int]]) -> None:
        """By the first words of the command: what it prints, and its exit code; all others print nothing of worth."""
        known = json.loads(self._told.read_text())[:-1] if self._told.exists() else []
        new = [[words, said, code] for words, (said, code) in ends.items()]
        self._told.write_text(json.dumps([*new, *known, ["", {"policy": "p" * 64, "points": {}}, 0]]))

    def done(self) -> int:
        """Commands so far."""
        return len(self._done.read_text().splitlines())


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(tmp_path, tmp_path / "o", monkeypatch)


def test_a_training_that_failed_goes_on_where_it_was(installation: Path, tmp_path: Path, steps: Steps) -> None:
    steps.say({"policy calibrate": (None, 1)})
    code, _, error = again(installation, "--out", str(tmp_path / "o"))
    assert (code != 0, "`elias policy calibrate` failed" in error, steps.done()) == (True, True, 4)
    steps.say({"policy calibrate": (None, 0)})
    code, said, _ = again(installation, "--out", str(tmp_path / "o"))
    assert (code, "is registered" in said, steps.done()) == (0, True, 4 + 3)


@pytest.mark.parametrize(
    ("words", "named"),
    [(("--objective", "dpo"), "--objective"), (("--changed", "uam.restart=2026-11-01"), "--changed")],
)
def test_a_folder_holds_one_training_and_refuses_another(
    installation: Path, tmp_path: Path, steps: Steps, words: tuple[str, str], named: str
) -> None:
    assert again(installation, "--out", str(tmp_path / "o"))[0] == 0
    before = steps.done()
    code, _, error = again(installation, "--out", str(tmp_path / "o"), *words)
    assert (code != 0, f"has another {named}" in error, "another folder with --out" in error) == (True, True, True)
    assert again(installation, "--out", str(tmp_path / "o"))[0] == 0
    assert steps.done() == before


@pytest.mark.parametrize(("code", "tried"), [(1, 0), (3, 2)])
def test_a_step_that_can_be_spared_is_tried_again_unless_it_was_refused(
    installation: Path, tmp_path: Path, steps: Steps, code: int, tried: int
) -> None:
    """What may pass keeps the policy from being registered: that is done once, with the estimate or without."""
    told = {"points": {"uam.restart": {"decisions": 9, "logged": {"value": 2.0}, "gain": {"value": 0.5, "low": 0.1}}}}
    registered = {"policy register": ({"policy": "p" * 64, "points": {}}, 0)}
    steps.say({"policy estimate": ({}, code), **registered})
    assert (again(installation, "--out", str(tmp_path / "o"))[0] == 0) is (code == 1)
    steps.say({"policy estimate": (told, 0), **registered})
    before = steps.done()
    assert again(installation, "--out", str(tmp_path / "o"))[0] == 0
    assert steps.done() - before == tried
    estimates = json.loads((tmp_path / "o" / "policy" / "estimates.json").read_text())
    assert list(estimates) == (["uam.restart"] if tried == 2 else [])


def test_two_trainings_in_one_folder_come_one_after_the_other(installation: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    out.mkdir()
    words = [
        sys.executable,
        "-m",
        "managers.uim.cli",
        "--config",
        str(installation),
        "train",
        "again",
        "--out",
        str(out),
    ]
    with (out / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as second:
            assert second.stderr is not None
            assert "waiting for its end" in second.stderr.readline()
            assert second.poll() is None
            fcntl.flock(held, fcntl.LOCK_UN)
            assert "`elias train dataset` failed" in second.stderr.read()


def test_ulm_offers_no_model_that_no_preset_trains_in_that_way() -> None:
    assert set(PRESETS) == TRAINABLE
