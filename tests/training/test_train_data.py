"""elias train data."""

import json

import pytest
from typer.testing import CliRunner

from managers.uim.cli.app import app
from training.scenarios.generate import digest, points, scenario

POINT = points()[0]
SLICE = ("--split", "test", "--count", "6", "--start", "4", "--out")
TRAINED = scenario(POINT).families("train")


def run(*arguments):
    return CliRunner().invoke(app, ["train", "data", *arguments])


def test_it_shows_families_and_for_one_point_its_facts():
    shown = run(POINT, "--count", "40")
    assert shown.exit_code == 0
    schema = scenario(POINT).point.schema
    for word in (*TRAINED, schema.facts[0].name, schema.terminal, digest()):
        assert word in shown.output


def test_json_is_one_document_with_the_digest_and_every_figure():
    found = json.loads(run(POINT, "--count", "40", "--json").stdout)
    assert (found["digest"], found["split"], found["count"]) == (digest(), "validation", 40)
    (point,) = found["points"]
    assert point["overall"]["examples"] == 40
    assert set(point["families"]) == set(TRAINED)


def test_a_file_has_one_question_a_line_and_the_same_every_time(tmp_path):
    texts = []
    for name in ("one.jsonl", "two.jsonl"):
        assert run(POINT, *SLICE, str(tmp_path / name)).exit_code == 0
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1]
    lines = [json.loads(line) for line in texts[0].splitlines()]
    assert len(lines) == 6
    assert {line["point"] for line in lines} == {POINT}
    assert [len(line["right"]) for line in lines] == [len(line["candidates"]) for line in lines]


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (["--split", "tests"], "held_out"),
        (["no.point"], POINT),
        (["--out", "/nowhere/at/all.jsonl"], "another file"),
    ],
)
def test_what_is_not_there_is_refused_with_a_cure(arguments, cure):
    assert cure in run(*arguments).exception.cure
