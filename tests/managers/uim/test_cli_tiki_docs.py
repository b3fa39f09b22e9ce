"""`elias tiki docs`: the page about the specs, as a file or on standard output."""

from pathlib import Path

import pytest

from .tiki_cli import Elias

OVERLAY = "## URM Resource Allocation Spec\n- memory_threshold: 60%\n"


@pytest.fixture
def elias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Elias:
    return Elias(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize(("name", "begins"), [("specs.html", "<!doctype html>"), ("specs.md", "# Rules of the lab")])
def test_the_specs_in_force_become_a_page(elias: Elias, name: str, begins: str) -> None:
    said = elias("tiki", "docs", "-o", name, "--title", "Rules of the lab")
    assert (said.code, said.out) == (0, "")
    text = (elias.folder / name).read_text()
    assert text.startswith(begins)
    assert "urm.resource_pressure" in text
    assert "FAIL" not in text
    assert ">fails<" not in text


def test_markdown_goes_to_standard_output(elias: Elias) -> None:
    assert "| 1 | out_of_memory | memory is above 95% |" in elias("tiki", "docs").out


def test_the_overlay_in_force_is_named_beside_its_setting(elias: Elias) -> None:
    elias.write("specs/urm.tiki", OVERLAY.replace("60%", "80%") + "- fallback: hold\n")
    elias.write("specs/overlays/prod/urm.tiki", OVERLAY)
    elias.write("elias.yaml", "specs: specs\noverlay: prod\n")
    assert "| memory_threshold | 60% | overlays/prod/urm.tiki:2 |" in elias("tiki", "docs").out
    elias("tiki", "docs", "-o", "page.html")
    assert '<span class="tag">overlay prod</span>' in (elias.folder / "page.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "page.pdf"], "name FILE.html or FILE.md"),
        (["-o", "nowhere/page.html"], "check the folder"),
        (["absent"], "check the path"),
    ],
)
def test_a_mistake_says_what_to_do(elias: Elias, arguments: list[str], said: str) -> None:
    found = elias("tiki", "docs", *arguments)
    assert found.code == 1
    assert said in found.err
