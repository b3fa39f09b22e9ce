"""Bad input is answered with diagnostics, never with a crash or a hang."""

from pathlib import Path

import lab
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiki
from tiki import Invalid, Source

SPECS = (
    "## LAB Pressure Spec\n",
    "### Examples\n",
    "- ",
    "when ",
    "never ",
    "otherwise",
    "memory",
    " > ",
    "5%",
    ": ",
    "hold",
)
MARKS = ("(", ")", "[", "]", ",", "|", "\n", "  ", "#", '"', "not ", "for ", "\x00", "é", "9" * 30)
FENCES = ("---\n", "tiki: 1\n", "<!--", "-->", "```", "```tiki\n")
pieces = st.sampled_from([*SPECS, *MARKS, *FENCES])


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.text(max_size=200), st.lists(pieces, max_size=40).map("".join)), st.sampled_from(["a.tiki", "a.md"])
)
def test_any_text_is_answered(text: str, path: str) -> None:
    source = Source(path, text)
    found = tiki.check([source], lab.POINTS)
    errors = [one for one in found if one.severity is tiki.Severity.ERROR]
    if errors:
        with pytest.raises(Invalid):
            tiki.build([source], lab.POINTS)
    else:
        tiki.run_examples(tiki.build([source], lab.POINTS))
    assert all(str(one) and one.line >= 1 and one.column >= 1 for one in found)


HOSTILE = {
    "huge": "x\n" * 2**20,
    "one long line": "# " + " " * 2**19 + "x",
    "parentheses": lab.spec(f"when {'(' * 1000}busy{')' * 1000}: hold"),
    "brackets": lab.spec(f"mine: {'[' * 1000}"),
    "negations": lab.spec(f"when {'not ' * 900}busy: hold"),
    "a long clause": lab.spec(f"when {' or '.join(['busy'] * 5000)}: hold"),
    "many comparisons": lab.spec(*[f"when {' or '.join(['busy'] * 400)}: hold"] * 6),
    "many clauses": lab.spec(*["when busy: hold"] * 1500),
    "many bullets": lab.spec(*["when busy: hold"] * 20_000),
    "many mistakes": lab.spec(*["whn busy: hold"] * 1999),
    "binary": "\x00\x01\x02" * 1000,
    "lone surrogate": "## LAB Pressure Spec\n- mine: \ud800\n",
    "open comments": "<!--\n" * 50_000,
    "comments in a bullet": "## LAB Pressure Spec\n- mine: 1\n" + "  <!--\n" * 50_000,
    "open fences": "````tiki\n```\n" * 20_000,
    "a number": lab.spec(f"mine: {'9' * 4000}"),
    "YAML aliases": "---\na: &a [x]\nb: &b [*a, *a]\n---\n",
    "YAML depth": f"---\n{'[' * 900}\n---\n",
    "YAML tags": "---\ntiki: !!python/object/apply:os.system [id]\n---\n",
    "YAML duplicate keys": "---\ntiki: 1\ntiki: 1\n---\n",
    "YAML size": f"---\ntiki: {'1' * 5000}\n---\n".replace("1111", "1\n#", 1),
    "YAML timestamp": "---\ntiki: 2020-99-99\n---\n",
    "YAML key": "---\n? [a]\n: 1\n---\n",
    "another version": "---\ntiki: 2\n---\n",
    "a boolean version": "---\ntiki: true\n---\n",
    "an open front matter": "---\ntiki: 1\n",
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_refused_soon(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        tiki.build([Source("a.tiki", text)], lab.POINTS)
    assert 1 <= len(refused.value.diagnostics) <= 200


def test_a_clause_at_the_limits_is_still_read() -> None:
    program = lab.program(f"when {'(' * 31}busy{')' * 31}: shed_load", "otherwise: hold")
    assert program.decide(lab.facts("busy=true", program), ()).action == "shed_load"


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tiki").write_bytes(b"## LAB \xff Spec")
    with pytest.raises(Invalid, match=r"a\.tiki:1:8: error TIKI-101: the file is not UTF-8 text"):
        tiki.load(tmp_path, lab.POINTS)


@pytest.mark.parametrize(
    ("condition", "clauses", "said"),
    [("busy", 1001, "1000 clauses"), ("busy or " * 99 + "busy", 21, "2000 comparisons")],
)
def test_the_first_clause_too_many_is_shown(condition: str, clauses: int, said: str) -> None:
    source = Source("a.tiki", lab.spec("fallback: hold", *[f"when {condition}: shed_load"] * (clauses + 20)))
    (found,) = tiki.check([source], lab.POINTS, budget=0)
    assert (found.code, found.line) == ("TIKI-108", 2 + clauses)
    assert f"more than {said}" in found.message
