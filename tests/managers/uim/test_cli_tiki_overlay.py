"""Overlays of specs at the command line: a folder answers the same, named or in force."""

import subprocess
from pathlib import Path

import pytest

from .tiki_cli import Elias

BASE = """## URM Resource Pressure Spec
- decides: urm.resource_pressure
- fallback: request_operator
- full: when memory > 80%: scale_out
- relieved: when cordoned and memory < 60% for 5m: scale_in
- otherwise: hold
"""
LAB = "## URM Resource Pressure Spec\n- full: when memory > 99%: scale_out\n"
WRONG = LAB + "- fuII: when memory > 99%: hold\n"
EXPLAIN = ("--point", "urm.resource_pressure", "memory=85%")


@pytest.fixture
def elias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Elias:
    elias = Elias(tmp_path, monkeypatch, capsys)
    elias.write("ov/a.tiki", BASE)
    elias.write("ov/overlays/lab/a.tiki", LAB)
    return elias


def test_the_folder_of_the_settings_answers_the_same_when_it_is_named(elias: Elias) -> None:
    elias.write("elias.yaml", "specs: ov\noverlay: lab\n")
    in_force = elias("tiki", "explain", "urm.resource_pressure", "memory=85%")
    named = elias("tiki", "explain", "ov", *EXPLAIN)
    assert in_force.out == named.out
    assert "hold, by otherwise" in named.out
    assert "ov: with overlay lab" in in_force.err
    assert "ov: with overlay lab" in named.err


@pytest.mark.parametrize(
    ("options", "says"), [((), "scale_out"), (("--overlay", "lab"), "hold"), (("--overlay", ""), "scale_out")]
)
def test_another_folder_takes_the_overlay_that_is_asked_for(elias: Elias, options: tuple[str, ...], says: str) -> None:
    said = elias("tiki", "explain", "ov", *EXPLAIN, *options)
    assert says in said.out.splitlines()[0]
    assert ("with overlay lab" in said.err) is ("lab" in options)


@pytest.mark.parametrize(
    "command",
    [("check", "ov"), ("test", "ov"), ("analyse", "ov"), ("docs", "ov"), ("diff", "ov", "ov", "--no-ledger")],
)
def test_every_command_takes_an_overlay_says_so_and_refuses_one_that_is_not_there(
    elias: Elias, command: tuple[str, ...]
) -> None:
    assert "with overlay lab" in elias("tiki", *command, "--overlay", "lab").err
    said = elias("tiki", *command, "--overlay", "labb")
    assert said.code == 1
    assert "did you mean `lab`?" in said.err


def test_one_file_takes_no_overlay(elias: Elias) -> None:
    said = elias("tiki", "check", "ov/a.tiki", "--overlay", "lab")
    assert said.code == 1
    assert "an overlay is laid over a folder" in said.err


def test_check_finds_an_error_in_an_overlay_that_nobody_chose(elias: Elias) -> None:
    right = elias("tiki", "check", "ov")
    assert (right.code, right.out) == (0, "2 files, 0 errors, 0 warnings\n")
    assert "with overlay lab: 0 errors, 0 warnings\n" in right.err
    elias.write("ov/overlays/hall/a.tiki", WRONG)
    wrong = elias("tiki", "check", "ov")
    assert wrong.code == 1
    assert "with overlay hall: 1 errors, 0 warnings\n" in wrong.err
    assert "with overlay lab: 0 errors, 0 warnings\n" in wrong.err
    assert "overlays/hall/a.tiki:3:" in wrong.out
    assert wrong.out.endswith("3 files, 1 errors, 0 warnings\n")
    assert elias("tiki", "check", "ov", "--overlay", "lab").code == 0


def test_what_an_overlay_breaks_in_the_base_is_said_with_its_name(elias: Elias) -> None:
    elias.write("ov/a.tiki", BASE.replace("- otherwise", "- half: when memory > 70%: migrate\n- otherwise"))
    elias.write("ov/overlays/lab/a.tiki", LAB.replace("99%", "65%"))
    said = elias("tiki", "check", "ov", "--fail-on", "warning")
    assert said.code == 1
    assert "a.tiki:6:3: warning TIKI-702: with overlay lab: `half` is never reached" in said.out
    assert elias("tiki", "check", "ov", "--overlay", "", "--fail-on", "warning").code == 0


def test_a_revision_is_compared_with_the_overlay_of_the_settings_too(elias: Elias) -> None:
    elias.write("elias.yaml", "specs: ov\noverlay: lab\n")
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    for words in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "rules")):
        subprocess.run(["git", *words], cwd=elias.folder, check=True)
    same = elias("tiki", "diff", "HEAD:ov", "ov", "--no-ledger")
    assert same.out == "the rules are the same\n"
    assert "HEAD:ov: with overlay lab" in same.err
    (elias.folder / "ov/overlays/lab").rename(elias.folder / "ov/overlays/hall")
    elias.write("elias.yaml", "specs: ov\noverlay: hall\n")
    other = elias("tiki", "diff", "HEAD:ov", "ov", "--no-ledger")
    assert "HEAD:ov: without overlay hall, which is not there" in other.err
    assert "the rules are the same" not in other.out
