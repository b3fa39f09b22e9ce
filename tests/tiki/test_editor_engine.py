import json
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_conformance import bullets, table

import tiki
from tiki import Point, Source
from tiki.diagnostics import Place
from tiki.editor.engine import Engine
from tiki.syntax import Clause

SECOND = lab.POINT.model_copy(update={"name": "lab.second", "titles": ("LAB Second", "LAB Both")})
FIRST = lab.POINT.model_copy(update={"titles": ("LAB Pressure", "LAB Both")})
POINTS: dict[str, Point] = {point.name: point for point in (FIRST, SECOND)}

LINES = (
    "## LAB Pressure Spec",
    "## LAB Second Spec",
    "## LAB Both Spec",
    "## LAB Presure Spec",
    "## Notes",
    "### Examples",
    "| memory | decides |",
    "| --- | --- |",
    "| 97% | shed_load |",
    "| 97% | sched_load |",
    "",
    "prose",
    "<!--",
    "-->",
    "```",
    "- decides: lab.pressure, lab.second",
    "- memory_threshold: 70%",
    "- limit: 5%",
    "- hot: when memory > limit: shed_load",
    "- hot: when memory > limt: shed_load",
    "- when memory > memory_threshold <!-- why -->",
    "  and busy for 30s: shed_load(newest)",
    "- never migrate when target.gpu_free < job.gpu",
    "- otherwise: hold",
    "- fallback: request_operator",
    "- whn busy: hold",
)
PATHS = ("a.tiki", "b.tiki", "c.md", "overlays/test/a.tiki")
lines = st.sampled_from(LINES)
files = st.fixed_dictionaries({path: st.lists(lines, max_size=14) for path in PATHS})
edits = st.lists(
    st.tuples(st.sampled_from(PATHS), st.integers(0, 14), st.integers(0, 3), st.lists(lines, max_size=2)), max_size=8
)


def text(path: str, found: list[str]) -> str:
    whole = "\n".join(found)
    return f"# Page\n```tiki\n{whole}\n````\n" if path.endswith(".md") else whole


def parts(texts: dict[str, list[str]]) -> tuple[list[Source], list[Source]]:
    sources = [Source(path, text(path, found)) for path, found in texts.items()]
    overlays = [source for source in sources if source.path.startswith("overlays/")]
    return [source for source in sources if source not in overlays], overlays


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files, edits)
def test_after_any_edits_the_findings_are_those_of_a_check_from_scratch(
    texts: dict[str, list[str]], edits: list[tuple[str, int, int, list[str]]]
) -> None:
    engine = Engine(POINTS)
    for path, at, gone, put in [(PATHS[0], 0, 0, []), *edits]:
        texts[path][at : at + gone] = put
        sources, overlays = parts(texts)
        found = engine.check(sources, overlays)
        assert list(found.found) == tiki.check(sources, POINTS, overlays, budget=0)
        fresh = Engine(POINTS).check(sources, overlays)
        for name in POINTS:
            assert found.merged(name) == fresh.merged(name)
            assert places(found.merged(name).clauses) == places(fresh.merged(name).clauses)
            assert found.groups[name].plans == fresh.groups[name].plans


def places(clauses: list[Clause]) -> list[Place]:
    return [clause.place for clause in clauses]


def conformance() -> Iterator[list[str]]:
    for name in ("decides", "firing", "guards", "overlays", "examples"):
        for row in table(name):
            yield bullets(row[0])
    for name in ("truth", "windows"):
        for row in table(name):
            yield [f"when {row[0].strip('`')}: hold" if name == "truth" else row[0].strip("`")]
    for _, _, cell in table("diagnostics"):
        yield [line.replace("\\|", "|") for line in bullets(cell)]


def test_the_rows_of_the_definition_give_the_findings_of_a_check() -> None:
    engine = Engine(lab.POINTS)
    seen = set()
    for row in conformance():
        whole = row if row and row[0].startswith(("-", "#", "|", " ")) else [f"- {line}" for line in row]
        for start in ([], ["## LAB Pressure Spec"]):
            source = Source("a.tiki", "\n".join([*start, *whole, ""]))
            found = list(engine.check([source]).found)
            assert found == tiki.check([source], lab.POINTS, budget=0)
            seen |= {one.code for one in found}
    assert len(seen) >= 30


def test_typing_a_row_of_the_definition_gives_the_findings_of_a_check_at_every_letter() -> None:
    whole = lab.spec("limit: 5%", "hot: when memory > limit and busy for 30s, clear at 3%: shed_load(newest)")
    engine = Engine(lab.POINTS)
    for end in range(len(whole) + 1):
        source = Source("a.tiki", whole[:end])
        assert list(engine.check([source]).found) == tiki.check([source], lab.POINTS, budget=0)


CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not in this checkout")
def test_the_corpus_gives_the_findings_of_a_check() -> None:
    points = {one["name"]: Point.model_validate(one) for one in json.loads((CORPUS / "points.json").read_text())}
    engine = Engine(points)
    files = sorted(CORPUS.rglob("*.tiki"))
    assert len(files) > 50
    for path in files:
        source = Source("a.tiki", path.read_text(encoding="utf-8", errors="replace"))
        assert list(engine.check([source]).found) == tiki.check([source], points, budget=0), path.name


@pytest.mark.parametrize("limit", ["5s", "[5%, 6%]", "memory", "5%", ""])
def test_a_setting_that_changes_is_seen_by_every_clause_that_names_it(limit: str) -> None:
    engine = Engine(lab.POINTS)
    for value in ("5%", limit, "5%"):
        clauses = ["hot: when memory > limit: shed_load", "never migrate when memory > limit"]
        source = Source("a.tiki", lab.spec(*([f"limit: {value}"] if value else []), *clauses, "otherwise: hold"))
        assert list(engine.check([source]).found) == tiki.check([source], lab.POINTS, budget=0)


def test_findings_below_a_line_that_is_inserted_or_deleted_move_with_their_notes_and_fixes() -> None:
    engine = Engine(lab.POINTS)
    spec = lab.spec("unused: 5%", "hot: when busy: shed_load", "hot: when busy: hold", "when memry > 5%: hold")
    for above in ("", "\n", "A line.\n\nAnother one.\n", "\n", "<!-- a comment\n\n-->\n", ""):
        source = Source("a.tiki", above + spec)
        found = engine.check([source]).found
        assert list(found) == tiki.check([source], lab.POINTS, budget=0)
        lines = source.text.split("\n")
        assert all(lines[one.line - 1] == one.excerpt for one in found)
        first = above.count("\n") + 3
        assert [one.message for one in found if one.code == "TIKI-502"] == [
            f"a clause is named `hot` already, at a.tiki:{first}"
        ]


def test_a_file_that_goes_away_is_forgotten() -> None:
    engine = Engine(lab.POINTS)
    a = Source("a.tiki", lab.spec("fallback: hold", "hot: when busy: shed_load"))
    b = Source("b.tiki", lab.spec("hot: when busy: shed_load"))
    assert [found.code for found in engine.check([a, b]).found] == ["TIKI-502"]
    assert engine.check([a]).found == ()


def test_more_findings_than_a_check_reports_are_cut_at_the_same_place() -> None:
    sources = [Source(f"{n}.tiki", lab.spec(*["when memry > 5%: hold"] * 150)) for n in range(3)]
    assert list(Engine(lab.POINTS).check(sources).found) == tiki.check(sources, lab.POINTS, budget=0)
