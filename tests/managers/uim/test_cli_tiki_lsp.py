"""What `elias tiki lsp` knows is what the other commands know."""

import json
from pathlib import Path

import pytest

import tiki
from federation.errors import Refused
from managers.uim.cli.specs.lsp import declared_in
from managers.uim.cli.specs.sources import points
from tiki.editor.project import Buffer, Project
from tiki.editor.text import Text

SHIPPED = Path(__file__).parents[3] / "tiki_specs"


def test_the_editor_finds_in_the_shipped_specs_what_a_check_finds() -> None:
    project = Project(points(), SHIPPED)
    found = [one for every in project.found().values() for one in every]
    assert found == tiki.check(tiki.read_directory(SHIPPED), points(), budget=0)


@pytest.mark.parametrize("path", [source.path for source in tiki.read_directory(SHIPPED)])
def test_whatever_is_typed_into_a_shipped_spec_the_editor_finds_what_a_check_finds(path: str) -> None:
    declared, project = points(), Project(points(), SHIPPED)
    text = (SHIPPED / path).read_text(encoding="utf-8")
    at = text.index("\n- ") + 1
    seen = set()
    for version, letters in enumerate(
        ("- x", "- xx: when", "- xx: when memry > 5:", "- pressure_limit: 5%\n", "<!--", "## ")
    ):
        typed = text[:at] + letters + text[at:]
        project.open(path, Buffer(path, Text(typed), version))
        found = [one for every in project.found().values() for one in every]
        sources = [tiki.Source(name, text) for name, text in project.texts.items()]
        assert sorted(map(str, found)) == sorted(map(str, tiki.check(sources, declared, budget=0)))
        seen |= {one.code for one in found}
    assert {"TIKI-201", "TIKI-107"} <= seen


def test_points_are_taken_from_a_file_as_schema_prints_them(tmp_path: Path) -> None:
    known = points()
    one = known["ufm.placement"]
    file = tmp_path / "points.json"
    file.write_text(json.dumps({**one.model_dump(mode="json"), "facts_schema": one.facts_schema(), "now": {}}))
    assert declared_in(file) == {"ufm.placement": one}
    file.write_text(json.dumps([point.model_dump(mode="json") for point in known.values()]))
    assert declared_in(file) == known


@pytest.mark.parametrize("text", ["{", "3", "[3]", '{"name": "x"}', "[[]]"])
def test_a_file_without_points_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    file = tmp_path / "points.json"
    file.write_text(text)
    with pytest.raises(Refused) as refused:
        declared_in(file)
    assert refused.value.place == str(file)
    assert "elias tiki schema" in refused.value.cure
