"""Runs every row of docs/tiki/semantics.md."""

import re
from pathlib import Path

import lab
import pytest

import tiki
from tiki import Memory, Source
from tiki.findings.codes import CODES

PAGE = (Path(__file__).parents[2] / "docs" / "tiki" / "semantics.md").read_text(encoding="utf-8")
SECOND = 1_000_000_000


def table(name: str, page: str = PAGE) -> list[list[str]]:
    """The rows of the table under `<!-- conformance: name -->`, without its header."""
    lines = page.split(f"<!-- conformance: {name} -->\n", 1)[1].splitlines()
    rows = []
    for line in lines[2:]:
        if not line.startswith("|"):
            break
        cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
        rows.append([cell.strip().replace("\\|", "|") for cell in cells])
    assert rows, name
    return rows


def bullets(cell: str) -> list[str]:
    return [line.strip("`") for line in cell.split("<br>")] if cell else []


def samples(cell: str) -> list[tuple[int, str]]:
    moments = (part.split(None, 1) for part in cell.split(";"))
    return [(round(float(at.removesuffix("s")) * SECOND), facts) for at, facts in moments]


TRUTHS = {"true": True, "false": False, "unknown": None}


def test_the_page_describes_the_point_that_its_rows_are_about() -> None:
    named = {(part, name.strip("`")): kind for part, name, kind, _ in table("point")}
    declared = {("fact", fact.name): fact.type.value for fact in lab.POINT.facts}
    declared |= {("setting", setting.name): setting.type.value for setting in lab.POINT.settings}
    declared |= {("action", action.name): "" for action in lab.POINT.actions}
    assert named == declared


@pytest.mark.parametrize(("written", "kind", "value"), table("values"))
def test_a_value_as_written_is_this_in_memory(written: str, kind: str, value: str) -> None:
    mine = f"mine: {written.strip('`')}"
    operand = "gpu_node in mine" if kind == "list" else "mine" if kind == "flag" else "mine == mine"
    program = lab.program(mine, f"when {operand}: shed_load")
    assert repr(program.settings["mine"]) == value
    assert isinstance(program.settings["mine"], bool) == (kind == "flag")


@pytest.mark.parametrize(("condition", "facts", "truth"), table("truth"))
def test_a_condition_has_this_truth(condition: str, facts: str, truth: str) -> None:
    program = lab.program(f"when {condition.strip('`')}: shed_load", "fallback: request_operator", "otherwise: hold")
    verdict = program.decide(lab.facts(facts, program), ())
    assert {"rule": "true", "otherwise": "false", "unknown": "unknown"}[verdict.reason] == truth


@pytest.mark.parametrize(("lines", "facts", "decides"), table("decides"))
def test_rules_decide(lines: str, facts: str, decides: str) -> None:
    program = lab.program(*bullets(lines))
    known = lab.facts(facts, program)
    assert lab.said(program.decide(known, ())) == decides
    assert program.explain(known, ()).verdict is program.decide(known, ())


@pytest.mark.parametrize(("lines", "moments", "truths"), table("windows"))
def test_time_is_judged(lines: str, moments: str, truths: str) -> None:
    program = lab.program(*bullets(lines))
    memory = Memory()
    held = [program.sample(memory, at, lab.facts(facts, program)) for at, facts in samples(moments)]
    assert held == [(TRUTHS[truth.strip()],) for truth in truths.split(";")]


@pytest.mark.parametrize(("lines", "moments", "fires"), table("firing"))
def test_clauses_fire(lines: str, moments: str, fires: str) -> None:
    program = lab.program(*bullets(lines))
    memory, latch, fired = Memory(), None, []
    for at, text in samples(moments):
        facts = lab.facts(text, program)
        verdict = program.decide(facts, program.sample(memory, at, facts))
        latch, fires_now = program.latch(latch, verdict, at)
        fired.append(verdict.action or verdict.tier if fires_now else "-")
    assert fired == [word.strip() for word in fires.split(";")]


@pytest.mark.parametrize(("lines", "candidate", "forbidden"), table("guards"))
def test_guards_forbid(lines: str, candidate: str, forbidden: str) -> None:
    program = lab.program(*bullets(lines), "otherwise: hold", "fallback: hold")
    action, _, rest = candidate.partition(" ")
    given = [part.strip() for part in rest.split(",") if part]
    attributes = dict(part.split("=") for part in given if "." in part)
    facts = lab.facts(", ".join(part for part in given if "." not in part), program)
    values = {name: None if value == "absent" else int(value) for name, value in attributes.items()}
    assert (program.forbids(facts, (), action, {}, values) or "-") == forbidden


@pytest.mark.parametrize(("base", "overlay", "facts", "decides"), table("overlays"))
def test_overlays_replace(base: str, overlay: str, facts: str, decides: str) -> None:
    program = lab.bundle(*bullets(base), overlay=lab.spec(*bullets(overlay))).programs[lab.POINT.name]
    assert lab.said(program.decide(lab.facts(facts, program), ())) == decides


@pytest.mark.parametrize(("lines", "header", "row", "passes"), table("examples"))
def test_examples_are_run(lines: str, header: str, row: str, passes: str) -> None:
    def printed(cells: str) -> str:
        return f"| {cells.replace(',', ' |').replace(';', ',')} |"

    ruler = "|" + " --- |" * (header.count(",") + 1)
    bundle = lab.bundle(*bullets(lines), "### Examples", printed(header), ruler, printed(row))
    (result,) = tiki.run_examples(bundle)
    assert result.passed == (passes == "yes"), result.message
    assert bool(result.message) != result.passed


DIAGNOSTICS = [(code, lines) for code, _, lines in table("diagnostics") if lines]
WARNINGS = {code for code, what, _ in table("diagnostics") if what.startswith("warning: ")}


@pytest.mark.parametrize(("code", "lines"), DIAGNOSTICS)
def test_a_mistake_gives_this_code_and_the_place(code: str, lines: str) -> None:
    written = "\n".join(bullets(lines)) + "\n"
    alone = re.match(r"#{2,3} ?LA", written) is not None
    fallback = "" if code == "TIKI-505" or "fallback:" in written else "- fallback: hold\n\n"
    text = written if alone else f"## LAB Pressure Spec\n{fallback}{written}"
    found = tiki.check([Source("lab.tiki", text)], lab.POINTS)
    mine = [one for one in found if one.code == code]
    assert mine, (text, found)
    assert all(one.path == "lab.tiki" and text.splitlines()[one.line - 1] == one.excerpt for one in mine)
    assert (mine[0].severity is tiki.Severity.WARNING) == (code in WARNINGS)
    others = {one.code for one in found} - {code, "TIKI-505"}
    assert not others, [str(one) for one in found]


def test_every_code_is_documented() -> None:
    package = Path(tiki.__file__).parent
    source = "".join(file.read_text(encoding="utf-8") for file in package.rglob("*.py"))
    assert set(re.findall(r"TIKI-\d{3}", source)) == set(CODES) == {row[0] for row in table("diagnostics")}


def test_a_code_is_said_in_the_same_words_everywhere() -> None:
    assert {code: what.removeprefix("warning: ") for code, what, _ in table("diagnostics") if what} == CODES
