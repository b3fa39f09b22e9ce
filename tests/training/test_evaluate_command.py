"""elias evaluate, what it keeps and what it compares, and elias policy evaluate."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from drifted import HELD, POINT, data_set, log
from typer.testing import CliRunner

from federation.errors import Refused
from federation.policy.embedded import Embedded
from federation.policy.tier import SHIPPED
from managers.uim.cli.app import app

FIGURES = ("accuracy", "coverage", "ece", "right", "regret")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Any:
    found = CliRunner().invoke(app, list(arguments))
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def said(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def uncalibrated(folder: Path) -> Path:
    """The policy that ships, without what says how sure it has to be."""
    copied = folder / "bare"
    shutil.copytree(SHIPPED, copied)
    (copied / "calibration.json").unlink()
    return copied


def test_policies_answer_the_same_questions_and_are_kept_and_compared(folder: Path) -> None:
    bare = uncalibrated(folder)
    told = said("evaluate", str(SHIPPED), str(bare), "--points", "ucm.storm", "--count", "200")
    shipped, other = told["evaluations"]
    assert (shipped["name"], other["name"]) == ("mini", "bare")
    for entry in (shipped["points"]["ucm.storm"], shipped["overall"]):
        assert entry["questions"] == 200
        assert set(FIGURES) <= entry["intervals"].keys()
        assert entry["latency"]["p50"] > 0
        assert entry["tokens"]["mean"] > 20
    assert (other["overall"]["coverage"], other["overall"]["accuracy"]) == (0, None)
    by_figure = {one["figure"]: one for one in told["differences"]}
    assert by_figure["coverage"]["verdict"] == "worse"
    assert (by_figure["regret"]["difference"], by_figure["regret"]["verdict"]) == (0, "")
    kept = sorted(path.stem for path in (folder / ".elias" / "evaluations").iterdir())
    assert kept == sorted(one["id"] for one in told["evaluations"])
    assert [one["id"] for one in said("evaluate", "--list")] == kept
    again = said("evaluate", shipped["id"][:12], other["id"][:12])
    assert again == told
    rows = run("evaluate", shipped["id"], other["id"]).stdout.splitlines()
    assert [row.split("\t")[-1] for row in rows if "\tcoverage\t" in row] == ["worse"]


@pytest.mark.parametrize(("source", "warned"), [("simulated", True), ("answered", False)])
def test_only_a_policy_that_was_calibrated_in_another_simulated_world_is_to_be_calibrated_again(
    folder: Path, source: str, warned: bool
) -> None:
    shutil.copytree(SHIPPED, folder / "copied")
    path = folder / "copied" / "calibration.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data": "a" * 64, "source": source}))
    told = run("evaluate", "copied", "--points", "ucm.storm", "--count", "200")
    assert ("the generator has changed" in told.stderr) == warned


def test_policy_evaluate_names_every_figure_of_every_point(folder: Path) -> None:
    arguments = ("--points", "ucm.storm", "--count", "200", "--train", "0")
    told = said("policy", "evaluate", *arguments)
    assert told["policy"] == Embedded(SHIPPED, 1).version
    for entry in (told["overall"], told["ucm.storm"]):
        assert set(FIGURES) <= entry.keys()
        assert set(entry["baselines"]) == {"random", "majority", "rule_only"}
        assert entry["held_out"]["questions"] == 200
    assert [one["id"] for one in said("evaluate", "--list")] == [told["data"]["kept"]]


def test_on_logged_decisions_right_is_what_was_answered_from_above(folder: Path) -> None:
    data = data_set(folder)
    (told,) = said("evaluate", "--data", str(data), "--split", "all")["evaluations"]
    assert told["source"] == {"kind": "logged", "digest": data.name, "split": "all", "count": 0}
    entry = told["points"][POINT]
    above = [one for one in log() if one.tier != "policy"]
    assert entry["questions"] == len(above)
    agreed = sum(one.choice == one.preferred for one in above) / len(above)
    assert entry["right"] == pytest.approx(agreed, abs=0.01)
    assert set(entry["agreed"]) == {"advisor", "operator"}
    assert entry["regret"] is None
    worth = entry["worth"]
    assert worth["decisions"] == len(log()) - len(above)
    assert worth["doubly_robust"]["low"] < worth["doubly_robust"]["value"] < worth["doubly_robust"]["high"]


def test_where_the_log_cannot_tell_the_reward_the_reason_stands_in_its_place(folder: Path) -> None:
    data = data_set(folder, 120 + HELD)
    (told,) = said("evaluate", "--data", str(data), "--split", "all")["evaluations"]
    entry = told["points"][POINT]
    assert entry["worth"] is None
    assert entry["refused"]["code"] == "few-effective"
    assert entry["refused"]["cure"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("evaluate", "--points", "no.such"), "no-world"),
        (("evaluate", "tests"), "no-policy"),
        (("evaluate", "abc", "def"), "evaluation.none"),
        (("evaluate", "--data", "nowhere"), "dataset.none"),
    ],
)
def test_what_is_not_there_is_refused_with_a_cure(folder: Path, arguments: tuple[str, ...], code: str) -> None:
    (folder / "tests").mkdir()
    with pytest.raises(Refused) as refused:
        run(*arguments)
    assert refused.value.code == code
    assert refused.value.cure


def test_a_data_set_without_decisions_in_the_split_is_refused(folder: Path) -> None:
    with pytest.raises(Refused) as refused:
        run("evaluate", "--data", str(data_set(folder)))
    assert refused.value.code == "no-decisions"


def test_the_probe_says_that_a_policy_of_questions_has_no_general_ability(folder: Path) -> None:
    arguments = ("--points", "ucm.storm", "--count", "200", "--probe")
    (told,) = said("evaluate", *arguments)["evaluations"]
    assert told["kept"]["right"] == pytest.approx(told["kept"]["chance"], abs=0.15)
