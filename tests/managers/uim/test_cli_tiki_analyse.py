"""`elias tiki analyse`: what can be proved about specs, for people and for programs."""

from pathlib import Path

import pytest

from .tiki_cli import Elias

SPEC = """## UIM Access Spec
- fallback: hold
- wide: when failures >= 10_per_minute: block
- narrow: when failures >= 20_per_minute: unblock
- never block when loopback
"""


@pytest.fixture
def elias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Elias:
    made = Elias(tmp_path, monkeypatch, capsys)
    made.write("access.tiki", SPEC)
    return made


def test_what_should_be_looked_at_is_said_with_an_input_or_with_the_clauses_at_fault(elias: Elias) -> None:
    said = elias("tiki", "analyse", "access.tiki")
    assert said.code == 0
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert "proved `narrow` never decides: `wide` takes all its inputs" in lines
    gap = "refuted a rule or `otherwise` decides whenever all facts are known or absent: not with failures="
    assert any(line.startswith(gap) for line in lines)
    assert not any("is never true" in line for line in lines)


def test_all_shows_every_answer(elias: Elias) -> None:
    out = elias("tiki", "analyse", "access.tiki", "--all").out
    assert "`wide` is never true: not with failures=" in out
    assert "takes nothing away where `wide` chooses or offers block: not with failures=" in out


def test_the_example_of_an_answer_is_what_explain_takes(elias: Elias) -> None:
    (point,) = elias("tiki", "analyse", "access.tiki", "--json").json
    (reached,) = (r for r in point["results"] if r["question"] == "unreached" and r["clauses"] == ["wide"])
    explained = elias("tiki", "explain", "access.tiki", *reached["example"].split()).out
    assert explained.startswith("uim.access: block, by wide")


def test_a_question_that_is_open_is_said_to_be_and_has_its_own_exit_code(elias: Elias) -> None:
    rules = "".join(f"- when failures > {n}_per_minute and not failures == {n}_per_hour: block\n" for n in range(400))
    elias.write("many.tiki", f"## UIM Access Spec\n- fallback: hold\n{rules}")
    said = elias("tiki", "analyse", "many.tiki", "--timeout", "0.1")
    assert said.code == 3
    assert "not settled" in said.out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("access.tiki", "--point", "uim.acces"), "did you mean `uim.access`?"),
        (("access.tiki", "--point", "urm.admission"), "no spec has clauses for urm.admission"),
        (("missing.tiki",), "missing.tiki"),
    ],
)
def test_what_cannot_be_analysed_is_said_with_the_cure(elias: Elias, arguments: tuple[str, ...], why: str) -> None:
    said = elias("tiki", "analyse", *arguments)
    assert said.code == 1
    assert why in said.err


def test_the_specs_that_ship_are_settled(elias: Elias) -> None:
    said = elias("tiki", "analyse", "--json")
    assert said.code == 0
    assert {one["point"] for one in said.json} >= {"uam.restart", "urm.resource_pressure", "ufm.node_health"}


def test_the_page_shows_what_its_spec_gives(elias: Elias) -> None:
    page = (Path(__file__).parents[3] / "docs" / "tiki" / "analysis.md").read_text(encoding="utf-8")
    spec, shown = (page.split(f"<!-- analysis: {part} -->\n```")[1].split("```")[0] for part in ("spec", "output"))
    elias.write("access.tiki", spec.removeprefix("tiki\n"))
    command, *lines = shown.removeprefix("text\n").splitlines()
    said = elias(*command.removeprefix("$ elias ").split())
    assert said.out.splitlines() == lines
