"""The pages about codes: what they advise against gives the code, what they advise gives no finding."""

import re
from pathlib import Path

import lab
import pytest

import tiki
from managers.uim.cli.specs.sources import points as shipped
from tiki import Source
from tiki.findings.codes import CODES, page

FOLDER = Path(__file__).parents[2] / "docs" / "tiki" / "findings"
POINTS = {**shipped(), **lab.POINTS}
WITHOUT_LINES = {"TIKI-101", "TIKI-108"}
"""Codes that only a file as a whole can give."""


def part(code: str, heading: str) -> str:
    avoid, _, prefer = (page(code) or "").partition("\n## Prefer\n")
    return {"Avoid": avoid.partition("\n## Avoid\n")[2], "Prefer": prefer}[heading]


def specs(text: str) -> list[Source]:
    """The fences of the language `tiki`; behind it stands the path, if that matters."""
    found = re.findall(r"^```tiki ?(\S*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Source(path or "page.tiki", body) for path, body in found]


def found(sources: list[Source]) -> list[tiki.Diagnostic]:
    base = [source for source in sources if not source.path.startswith("overlays/")]
    return tiki.check(base, POINTS, [source for source in sources if source not in base])


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert {file.stem for file in FOLDER.glob("*.md")} == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_page_says_what_its_code_means_what_to_avoid_and_what_to_prefer(code: str) -> None:
    title, _, rest = (page(code) or "").partition("\n")
    assert title == f"# {code}: {CODES[code]}"
    assert not rest.strip().startswith(("#", "```"))
    assert ("## Avoid" in rest and "## Prefer" in rest) or code in WITHOUT_LINES


AVOIDED = [code for code in CODES if specs(part(code, "Avoid"))]


def test_all_pages_about_specs_show_lines() -> None:
    about_scenarios = {code for code in CODES if "TIKI-620" <= code < "TIKI-700"}
    assert set(CODES) - set(AVOIDED) - about_scenarios == WITHOUT_LINES


@pytest.mark.parametrize("code", AVOIDED)
def test_what_a_page_advises_against_gives_its_code(code: str) -> None:
    (*others, last) = sorted({one.code for one in found(specs(part(code, "Avoid")))}, key=lambda one: one == code)
    assert last == code
    assert set(others) <= ({"TIKI-702"} if code == "TIKI-703" else {"TIKI-714"} if code == "TIKI-713" else set())


@pytest.mark.parametrize("code", AVOIDED)
def test_what_a_page_advises_gives_no_finding(code: str) -> None:
    assert found(specs(part(code, "Prefer"))) == []
