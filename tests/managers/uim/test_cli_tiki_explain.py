"""`elias tiki explain`, as a spec author uses it."""

import json
import sys
from pathlib import Path

import pytest

from .tiki_cli import Elias


@pytest.fixture
def elias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Elias:
    return Elias(tmp_path, monkeypatch, capsys)


SPEC = """## URM Admission Spec
- decides: urm.admission
- fallback: request_operator
- room: when fits_now and pressure <= pressure_limit: admit
- never admit when pressure > 99%
- otherwise: wait
"""

PRESSURE = ("urm.resource_pressure", "memory=92%", "gpu=85%")


def test_a_decision_is_shown_with_what_nearly_fired(elias: Elias) -> None:
    said = elias("tiki", "explain", *PRESSURE, "cpu=10%", "disk=10%", "cordoned=false", "stopped=0")
    assert said.code == 0
    assert said.out.startswith("urm.resource_pressure: hold, by otherwise")
    assert "memory > 95%: false (memory is 92%), 3% away" in said.out
    assert "crowded_gpu is false, for want of gpu > gpu_threshold" in said.out


def test_candidates_are_held_before_the_guards(elias: Elias) -> None:
    candidates = (
        "migrate target.gpu_free=1 job.gpu=2",
        "migrate target.gpu_free=2 job.gpu=2 target.memory_free=absent",
    )
    said = elias("tiki", "explain", *PRESSURE, *(word for one in candidates for word in ("--candidate", one)), "--json")
    first, second = said.json["candidates"]
    assert (first["forbidden"], second["forbidden"]) == ("room_for_the_job", None)
    assert first["guards"][0]["steps"][0]["values"] == {"target.gpu_free": "1", "job.gpu": "2"}


LAST = """## UFM Node Health Spec
- decides: ufm.node_health
- fallback: hold
- back: when passed >= 2: readmit
- few: never readmit when passed < 5
- seen: never readmit when missed > 3
"""


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (("passed=3", "missed=0"), "readmit is forbidden by few: the fallback answers, hold"),
        (("passed=6", "missed=4"), "readmit is forbidden by seen: the fallback answers, hold"),
        (("passed=6",), "readmit is forbidden by seen, seen cannot be told: the fallback answers, hold"),
        (("passed=6", "missed=0"), ""),
    ],
)
def test_what_guards_forbid_by_the_facts_alone_is_left_to_the_fallback(
    elias: Elias, facts: tuple[str, ...], said: str
) -> None:
    elias.write("last.tiki", LAST)
    found = elias("tiki", "explain", "last.tiki", *facts)
    assert found.out.startswith("ufm.node_health: readmit, by back")
    assert [line for line in found.out.splitlines() if "forbidden" in line] == [said] * bool(said)
    forbidden = elias("tiki", "explain", "last.tiki", *facts, "--json").json["forbidden"]
    assert (forbidden and forbidden["instead"]) == ({"action": "hold", "tier": None} if said else None)


def test_a_file_of_specs_is_explained_by_itself(elias: Elias) -> None:
    elias.write("my.tiki", SPEC)
    said = elias("tiki", "explain", "my.tiki", "fits_now=true", "pressure=95%")
    assert "wait, by otherwise (my.tiki:6)" in said.out
    assert "pressure <= pressure_limit: false (pressure is 95%, pressure_limit is 90%), 5% away" in said.out


@pytest.mark.parametrize("as_event", [False, True])
@pytest.mark.parametrize("from_stdin", [False, True])
def test_facts_come_from_json_too(elias: Elias, as_event: bool, from_stdin: bool) -> None:
    facts = {"memory": "97%", "gpu": None}
    text = json.dumps({"type": "elias.resource.sample", "data": facts} if as_event else facts)
    elias.write("facts.json", text)
    source = "-" if from_stdin else "facts.json"
    said = elias("tiki", "explain", "urm.resource_pressure", source, "--json", stdin=text)
    assert (said.json["action"], said.json["clause"]) == ("shed_load", "out_of_memory")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["urm.resource_presure"], "did you mean `urm.resource_pressure`?"),
        (["urm.resource_pressure", "memory=97"], "write `80%`"),
        (["urm.resource_pressure", "memry=97%"], "did you mean `memory`?"),
        (["urm.resource_pressure", "memory"], "is not NAME=VALUE"),
        (["urm.resource_pressure", "none.json"], "check the path"),
        (["urm.resource_pressure", "--candidate", "migrat"], "did you mean `migrate`?"),
        (["urm.resource_pressure", "--candidate", "migrate target.gpu=1"], "did you mean `target.gpu_free`?"),
        (["urm.resource_pressure", "--candidate", "migrate target.gpu_free=1%"], "target.gpu_free: `1%` is a percent"),
        (["urm.resource_pressure", "--candidate", ""], "the actions are"),
        (["absent.tiki"], "there is no such file"),
        ([], "say what to explain"),
        (["two.tiki", "memory=5%"], "say which with --point NAME"),
        (["two.tiki", "--point", "uam.restart"], "these specs are about urm.resource_pressure, urm.admission"),
    ],
)
def test_a_mistake_says_what_to_do(elias: Elias, arguments: list[str], said: str) -> None:
    pressure = "## URM Resource Pressure Spec\n- decides: urm.resource_pressure\n- fallback: hold\n- otherwise: hold\n"
    elias.write("two.tiki", f"{SPEC}\n{pressure}")
    found = elias("tiki", "explain", *arguments)
    assert found.code == 1
    assert said in found.err
    assert found.out == ""


def test_of_two_points_one_is_named(elias: Elias) -> None:
    pressure = "## URM Resource Pressure Spec\n- decides: urm.resource_pressure\n- fallback: hold\n- otherwise: hold\n"
    elias.write("two.tiki", f"{SPEC}\n{pressure}")
    assert elias("tiki", "explain", "two.tiki", "--point", "urm.admission", "--json").json["reason"] == "unknown"


def test_a_recorded_decision_is_explained_from_the_ledger(elias: Elias) -> None:
    said = elias("tiki", "explain", "--decision", "3f9a")
    assert said.code == 1
    assert said == elias("explain", "3f9a")


def test_a_terminal_gets_a_tree_in_colour(elias: Elias, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    out = elias("tiki", "explain", "urm.resource_pressure", "memory=97%", "--candidate", "migrate job.gpu=2").out
    assert "└── not tried: all_busy, crowded_gpu" in out
    assert "forbidden by room_for_the_job" in out


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (["restarts=1", "restarts=2"], "`restarts` is named twice, as 1 and as 2"),
        (["max_restarts=9"], "`max_restarts` is a setting: "),
    ],
)
def test_what_is_no_one_fact_is_refused_with_the_reason(elias: Elias, facts: list[str], says: str) -> None:
    said = elias("tiki", "explain", "uam.restart", *facts)
    assert said.code == 1
    assert said.out == ""
    assert says in said.err
    assert "cure: " in said.err
    assert "did you mean" not in said.err


def test_a_fact_on_the_command_line_goes_before_that_of_a_file(elias: Elias) -> None:
    elias.write("facts.json", json.dumps({"restarts": 1}))
    assert elias("tiki", "explain", "uam.restart", "facts.json", "restarts=2").code == 0
