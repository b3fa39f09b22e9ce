"""`elias tiki check`, as a spec author and a build use it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .tiki_cli import Elias


@pytest.fixture
def elias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Elias:
    return Elias(tmp_path, monkeypatch, capsys)


DOUBTFUL = """## URM Admission Spec
- fallback: hold
- pressure_limit: 85%
- busy: when pressure > 80%: wait
- full: when pressure > 90% and pressure > 95%: hold
- room: when fits_now and fits_now: admit
"""
FIXED = DOUBTFUL.replace("- pressure_limit: 85%\n", "").replace("fits_now and fits_now", "fits_now")
WRONG = "## URM Admission Spec\n- fallback: hold\n- when fit_now: admit\n"


def test_the_specs_that_ship_have_no_finding(elias: Elias) -> None:
    said = elias("tiki", "check", "--fail-on", "warning")
    assert said.code == 0
    assert said.out.endswith(" files, 0 errors, 0 warnings\n")


def test_what_is_doubtful_is_said_with_the_clause_that_makes_it_so(elias: Elias) -> None:
    elias.write("a.tiki", DOUBTFUL)
    said = elias("tiki", "check", "a.tiki")
    assert said.code == 0
    assert (
        "a.tiki:5:3: warning TIKI-702: `full` is never reached: `busy` (pressure > 80%) decides all of it" in said.out
    )
    assert "a.tiki:4: `busy` decides before it" in said.out
    assert "for example: pressure=" in said.out
    assert said.out.endswith("1 files, 0 errors, 3 warnings\n")


@pytest.mark.parametrize(
    ("text", "fail_on", "code"),
    [
        (DOUBTFUL, "error", 0),
        (DOUBTFUL, "warning", 1),
        (DOUBTFUL, "never", 0),
        (WRONG, "error", 1),
        (WRONG, "warning", 1),
        (WRONG, "never", 0),
    ],
)
def test_a_build_says_what_it_fails_on(elias: Elias, text: str, fail_on: str, code: int) -> None:
    elias.write("a.tiki", text)
    assert elias("tiki", "check", "a.tiki", "--fail-on", fail_on).code == code


def test_findings_are_data_too(elias: Elias) -> None:
    elias.write("specs/a.tiki", DOUBTFUL)
    said = elias("tiki", "check", "specs", "--format", "json")
    assert said.json == elias("tiki", "check", "specs", "--json").json
    unused, never, part = said.json
    assert [one["code"] for one in said.json] == ["TIKI-711", "TIKI-702", "TIKI-704"]
    assert unused["fix"]["edits"][0]["text"] == ""
    assert never["notes"][0]["place"]["span"]["line"] == 4
    assert (part["path"], part["line"], part["severity"]) == ("a.tiki", 6, "warning")


@pytest.mark.parametrize("name", ["notes.md", "b.tiki"])
def test_a_file_that_cannot_be_read_is_a_finding_and_the_others_are_checked(elias: Elias, name: str) -> None:
    elias.write("specs/a.tiki", DOUBTFUL)
    elias.write(f"specs/{name}", "").write_bytes("\n# Für alle".encode("latin-1"))
    said = elias("tiki", "check", "specs")
    assert said.code == 1
    assert f"{name}:2:4: error TIKI-101: the file is not UTF-8 text" in said.out
    assert said.out.endswith("2 files, 1 errors, 3 warnings\n")
    data = elias("tiki", "check", "specs", "--json").json
    assert [(one["code"], one["path"]) for one in data if one["severity"] == "error"] == [("TIKI-101", name)]
    (run,) = elias("tiki", "check", "specs", "--format", "sarif").json["runs"]
    (error,) = [one for one in run["results"] if one["level"] == "error"]
    assert error["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == f"specs/{name}"
    (alone,) = elias("tiki", "check", f"specs/{name}", "--json").json
    assert alone["code"] == "TIKI-101"


@pytest.mark.parametrize("command", [("bundle", "build", "--version", "1"), ("tiki", "analyse"), ("tiki", "docs")])
def test_of_a_folder_with_a_file_that_cannot_be_read_nothing_is_made(elias: Elias, command: tuple[str, ...]) -> None:
    elias.write("specs/a.tiki", FIXED)
    assert elias(*command, "specs").code == 0
    elias.write("specs/notes.md", "").write_bytes(b"\xff")
    said = elias(*command, "specs")
    assert said.code == 1
    assert "notes.md:1:1: error TIKI-101" in said.err


def test_sarif_names_files_from_where_the_command_runs(elias: Elias) -> None:
    elias.write("specs/a.tiki", DOUBTFUL)
    (run,) = elias("tiki", "check", "specs", "--format", "sarif").json["runs"]
    places = [result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in run["results"]]
    assert set(places) == {"specs/a.tiki"}


def test_fixes_are_shown_before_they_are_made(elias: Elias, tmp_path: Path) -> None:
    elias.write("specs/a.tiki", DOUBTFUL)
    said = elias("tiki", "check", "specs", "--diff")
    assert "--- a/a.tiki\n+++ b/a.tiki\n" in said.out
    assert "-- pressure_limit: 85%\n" in said.out
    assert "+- room: when fits_now: admit\n" in said.out
    assert (tmp_path / "specs" / "a.tiki").read_text() == DOUBTFUL


def test_fixes_are_made_and_told_and_what_is_left_is_found(elias: Elias, tmp_path: Path) -> None:
    file = tmp_path / "specs" / "a.tiki"
    elias.write("specs/a.tiki", DOUBTFUL)
    said = elias("tiki", "check", "specs", "--fix")
    assert file.read_text() == FIXED
    assert "fixed a.tiki:3: TIKI-711: remove the line that sets `pressure_limit`" in said.err
    assert "TIKI-702" in said.out
    assert said.out.endswith("1 files, 0 errors, 1 warnings\n")
    assert elias("tiki", "check", "specs", "--fix").err == ""
    assert file.read_text() == FIXED


def test_the_ends_of_lines_of_a_single_file_stay(elias: Elias, tmp_path: Path) -> None:
    file = tmp_path / "a.tiki"
    file.write_bytes(DOUBTFUL.replace("\n", "\r\n").encode())
    elias("tiki", "check", "a.tiki", "--fix")
    assert file.read_bytes() == FIXED.replace("\n", "\r\n").encode()


def test_nothing_is_fixed_where_something_is_wrong(elias: Elias, tmp_path: Path) -> None:
    elias.write("specs/a.tiki", DOUBTFUL)
    elias.write("specs/b.tiki", WRONG)
    said = elias("tiki", "check", "specs", "--fix")
    assert said.code == 1
    assert (tmp_path / "specs" / "a.tiki").read_text() == DOUBTFUL


@pytest.mark.parametrize("code", ["TIKI-702", "tiki-702"])
def test_a_code_is_explained(elias: Elias, code: str) -> None:
    said = elias("tiki", "check", "--explain", code)
    assert said.out.startswith("# TIKI-702: a clause is never reached\n")
    assert "## Avoid" in said.out
    assert "## Prefer" in said.out


def test_a_code_that_is_none_is_told_with_the_nearest(elias: Elias) -> None:
    said = elias("tiki", "check", "--explain", "TIKI-72")
    assert said.code == 1
    assert "did you mean `TIKI-7" in said.err


def test_without_a_budget_nothing_is_proved(elias: Elias) -> None:
    elias.write("a.tiki", DOUBTFUL)
    said = elias("tiki", "check", "a.tiki", "--budget", "0", "--json")
    assert [one["code"] for one in json.loads(said.out)] == ["TIKI-711"]


def test_what_could_not_be_settled_is_said(elias: Elias) -> None:
    elias.write("a.tiki", DOUBTFUL)
    said = elias("tiki", "check", "a.tiki", "--budget", "0.000001")
    assert "not settled in 1e-06 s: urm.admission" in said.err
    assert "--budget" in said.err
    assert "TIKI-702" not in said.out


def test_the_page_about_checking_shows_what_the_command_says(elias: Elias) -> None:
    page = (Path(__file__).parents[3] / "docs" / "tiki" / "checking.md").read_text(encoding="utf-8")
    spec, _, rest = page.partition("```tiki\n")[2].partition("```\n")
    shown = rest.partition("$ elias tiki check draft.tiki\n")[2].partition("```\n")[0]
    elias.write("draft.tiki", spec)
    assert elias("tiki", "check", "draft.tiki").out == shown


@pytest.mark.parametrize("command", [("check",), ("test", "--fail-under", "100"), ("analyse",), ("docs",)])
@pytest.mark.parametrize(
    ("settings", "place", "says"),
    [
        ("specs: nowhere", "nowhere", "there is no such folder"),
        ("specs: rule", "rule", "did you mean `rules`?"),
        ("specs: empty", "empty", "there is no spec in this folder"),
        ("specs: rules\noverlay: labb", "rules/overlays/labb", "did you mean `lab`?"),
        ("specs: rules\noverlay: lobby", "rules/overlays/lobby", "the overlays here are hall, lab"),
        ("specs: rules\noverlay: hall", "rules/overlays/hall", "there is no spec in this folder"),
    ],
)
def test_specs_that_are_not_there_are_refused_not_found_right(
    elias: Elias, command: tuple[str, ...], settings: str, place: str, says: str
) -> None:
    elias.write("elias.yaml", settings)
    elias.write("rules/a.tiki", FIXED)
    elias.write("rules/overlays/lab/a.tiki", "## URM Admission Spec\n- otherwise: hold\n")
    for folder in ("empty", "rules/overlays/hall"):
        (elias.folder / folder).mkdir(parents=True)
    said = elias("tiki", *command)
    assert said.code == 1
    assert said.out == ""
    assert says in said.err
    assert f"where: {elias.folder / place}\n" in said.err
    assert "cure: " in said.err


@pytest.mark.parametrize("command", [("check",), ("test", "--coverage", "--fail-under", "100")])
def test_a_named_folder_without_a_spec_is_refused(elias: Elias, command: tuple[str, ...]) -> None:
    (elias.folder / "e").mkdir()
    said = elias("tiki", *command, "e")
    assert said.code == 1
    assert "there is no spec in this folder" in said.err


@pytest.mark.parametrize("rules", [1, 3000])
def test_who_reads_no_further_is_not_told_of_errors(tmp_path: Path, rules: int) -> None:
    """One finding is written as the process ends, many before."""
    (tmp_path / "a.tiki").write_text("## URM Admission Spec\n- fallback: hold\n" + "- when fit_now: admit\n" * rules)
    command = [sys.executable, "-m", "managers.uim.cli", "tiki", "check", "a.tiki"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == -signal.SIGPIPE
    assert said == ""
