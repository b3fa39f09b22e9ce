"""`elias tiki schema`: what an author may say, for people and for programs."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from managers.uim.cli.specs.sources import points

from .tiki_cli import Elias

POINTS = points()


@pytest.fixture
def elias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Elias:
    return Elias(tmp_path, monkeypatch, capsys)


def test_without_a_point_they_are_listed(elias: Elias) -> None:
    out = elias("tiki", "schema").out
    assert [line.split()[0] for line in out.splitlines()] == sorted(POINTS)
    assert elias("tiki", "schema", "--json").json == sorted(POINTS)


@pytest.mark.parametrize("point", sorted(POINTS))
def test_everything_that_a_point_declares_is_shown(elias: Elias, point: str) -> None:
    out, declared = elias("tiki", "schema", point).out, POINTS[point]
    for one in (*declared.facts, *declared.settings, *declared.actions, *declared.attributes):
        assert one.name in out
        assert one.doc in out
    assert all(value in out for fact in declared.facts for value in fact.values)
    assert f"{declared.terminal} is the terminal action" in out


def test_settings_are_shown_with_what_they_are_now_and_where_that_was_said(elias: Elias) -> None:
    now = elias("tiki", "schema", "urm.resource_pressure", "--json").json["now"]
    assert now["memory_threshold"] == {"value": "80%", "place": "urm/resource_allocation.tiki:4"}
    assert now["timeout"] == {"value": "1h", "place": ""}
    assert now["cooldown"] == {"value": "", "place": ""}
    elias.write("my.tiki", "## URM Resource Allocation Spec\n- memory_threshold: 65%\n- fallback: hold\n")
    out = elias("tiki", "schema", "urm.resource_pressure", "--specs", "my.tiki").out
    assert "65%" in out
    assert "my.tiki:2" in out


def test_broken_specs_hide_the_settings_of_now_and_nothing_else(elias: Elias) -> None:
    elias.write("my.tiki", "## URM Resource Allocation Spec\n- memry_threshold: 65%\n")
    said = elias("tiki", "schema", "urm.resource_pressure", "--specs", "my.tiki")
    assert said.code == 0
    assert "elias tiki check" in said.err
    assert "memory_threshold" in said.out


@pytest.mark.parametrize("point", sorted(POINTS))
def test_the_json_schema_is_one(elias: Elias, point: str) -> None:
    jsonschema.Draft202012Validator.check_schema(elias("tiki", "schema", point, "--json-schema").json)


def test_one_document_has_the_schemas_of_all_points(elias: Elias) -> None:
    document = elias("tiki", "schema", "--json-schema").json
    jsonschema.Draft202012Validator.check_schema(document)
    assert sorted(document["$defs"]) == sorted(POINTS)


@pytest.mark.parametrize(
    ("facts", "fits"),
    [
        ({}, True),
        ({"memory": 97.0, "gpu": None}, True),
        ({"memory": "97%", "jobs": 3}, True),
        ({"memory": "97.25%", "jobs": "3_jobs"}, True),
        ({"memory": "97"}, False),
        ({"memory": "97GB"}, False),
        ({"memory": 140.0}, False),
        ({"memory": True}, False),
        ({"jobs": 3.5}, False),
        ({"jobs": -1}, False),
        ({"cordoned": True}, True),
        ({"cordoned": 1}, False),
        ({"memry": 97.0}, False),
    ],
)
def test_the_json_schema_takes_the_facts_that_elias_takes(elias: Elias, facts: dict[str, Any], fits: bool) -> None:
    schema = elias("tiki", "schema", "urm.resource_pressure", "--json-schema").json
    assert jsonschema.Draft202012Validator(schema).is_valid(facts) == fits


def test_a_typo_is_met_with_a_suggestion(elias: Elias) -> None:
    said = elias("tiki", "schema", "urm.admision")
    assert said.code == 1
    assert "did you mean `urm.admission`?" in said.err
