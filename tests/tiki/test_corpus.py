"""Small specs with what is wrong with them written in their first line: `<!-- expect: TIKI-702 at 7 -->`.

A file beside it that ends in `.overlay.tiki` is its overlay. The files in `clean` have nothing wrong with them, and
most are near misses: one step further, and they would stand in `defects`. `errors` has the plain mistakes. What the
files are about stands in `points.json`, beside points that ship.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from pydantic import TypeAdapter

import tiki
from managers.ufm.points import NODE_HEALTH
from managers.uim.cli.specs.sources import points as every_point
from managers.urm.points import ADMISSION
from tiki import Point, Source

CORPUS = Path(__file__).parent / "corpus"
OVERLAY = ".overlay.tiki"
CASES = {
    f"{path.parent.name}/{path.stem}": path
    for path in sorted(CORPUS.glob("*/*.tiki"))
    if not path.name.endswith(OVERLAY)
}
Finding = tuple[str, str, int]
"""The path of a file, a code, and the line that it is given for."""

PATIENCE = 600.0
"""Seconds for the proofs of one file: so many that a slow machine changes no answer."""


@cache
def points() -> dict[str, Point]:
    made_up = TypeAdapter(list[Point]).validate_json((CORPUS / "points.json").read_bytes())
    return {point.name: point for point in (*made_up, ADMISSION.schema, NODE_HEALTH.schema)}


def expected(source: Source) -> set[Finding]:
    said = re.search(r"<!-- expect: (.*?) -->", source.text)
    assert said, f"{source.path} does not say what it expects"
    marks = [] if said[1] == "nothing" else [mark.split(" at ") for mark in said[1].split(", ")]
    return {(source.path, code, int(line)) for code, line in marks}


def sources(case: Path) -> tuple[Source, list[Source]]:
    """A file, and its overlay if it has one."""
    overlay = case.with_suffix(OVERLAY)
    over = [Source(f"overlays/test/{overlay.name}", overlay.read_text(encoding="utf-8"))] if overlay.exists() else []
    return Source(case.name, case.read_text(encoding="utf-8")), over


@cache
def judged(case: Path) -> tuple[frozenset[Finding], frozenset[Finding], str]:
    """What a file expects, what is found, and that in words."""
    base, over = sources(case)
    found: Sequence[tiki.Diagnostic] = tiki.check([base], points(), over, budget=PATIENCE)
    wanted = set().union(*map(expected, (base, *over)))
    places = frozenset((one.path, one.code, one.line) for one in found)
    return frozenset(wanted), places, "\n".join(map(str, found))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_file_has_the_findings_that_it_expects(case: Path) -> None:
    wanted, found, words = judged(case)
    assert found == wanted, words


def test_the_files_of_the_clean_half_expect_nothing_and_all_others_something() -> None:
    expecting = {name for name, case in CASES.items() if judged(case)[0]}
    assert {name for name in CASES if not name.startswith("clean/")} == expecting
    assert len(CASES) - len(expecting) >= 80
    assert sum(name.startswith("defects/") for name in expecting) >= 80


def test_the_shipped_specs_have_no_finding() -> None:
    shipped = tiki.read_directory(Path(__file__).parents[2] / "tiki_specs")
    assert shipped
    assert tiki.check(shipped, every_point(), budget=PATIENCE) == []


def test_precision_and_recall_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong, missed = Counter[str](), Counter[str](), Counter[str]()
    for case in CASES.values():
        wanted, found, _ = judged(case)
        right.update(code for _, code, _ in wanted & found)
        wrong.update(code for _, code, _ in found - wanted)
        missed.update(code for _, code, _ in wanted - found)
    hits = right.total()
    precision, recall = hits / (hits + wrong.total()), hits / (hits + missed.total())
    with capsys.disabled():
        print(f"\n{len(CASES)} files, {hits + missed.total()} findings: precision {precision:.1%}, recall {recall:.1%}")
        for code in sorted(right | wrong | missed):
            print(f"  {code} {right[code]:3} found {wrong[code]:3} wrong {missed[code]:3} missed")
    assert (precision, recall) == (1, 1)
