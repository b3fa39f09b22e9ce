"""Whatever a file holds is answered, and every finding has a place in the file.

2,000 documents; `ELIAS_DOCUMENTS=100000` asks for more. A document is written by the grammar and then not quite, or is
a file of the corpus that somebody damaged, or is junk.
"""

import os
from pathlib import Path

import lab
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from places import assert_inside
from pydantic import TypeAdapter

import tiki
from tiki import Invalid, Point, Severity, Source

DOCUMENTS = int(os.environ.get("ELIAS_DOCUMENTS", "2000"))
CORPUS = Path(__file__).parent / "corpus"
FILES = [path.read_text(encoding="utf-8") for path in sorted(CORPUS.glob("*/*.tiki"))]
POINTS = {
    point.name: point
    for point in (lab.POINT, *TypeAdapter(list[Point]).validate_json((CORPUS / "points.json").read_bytes()))
}

# ---------------------------------------------------------------- what the grammar writes, and what it nearly does

pick = st.sampled_from
facts = pick([fact.name for fact in lab.POINT.facts])
attributes = pick([attribute.name for attribute in lab.POINT.attributes])
names = pick([setting.name for setting in lab.POINT.settings] + ["limit", "memry", "Upper", "when", "a" * 70])
actions = pick([action.name for action in lab.POINT.actions] + ["hodl", "request_operator"])
units = pick(["%"] * 3 + [""] * 3 + ["s", "ms", "m", "d", "GB", "GiB", "kB", "kb", "_per_second", "_failures_per_hour"])
numbers = pick(["0", "1", "2.5", "-3", "80", "1e9", "007", "1.0000000001", "9" * 18, "9" * 19, "1_000", "."])
literals = st.builds(str.__add__, numbers, units)
words = pick(["ready", "lost", "newest", "true", "false", '"us-east 1"', '"', "absent", "unknown"])
values = literals | words | names
lists = st.lists(values, max_size=4).map(lambda items: f"[{', '.join(items)}]")
operands = facts | values | attributes | lists
operators = pick(["<", "<=", ">", ">=", "==", "!=", "in", "=", "is", "<>"])
comparisons = st.builds("{} {} {}".format, operands, operators, operands)
# What fits by its units is rare where everything is drawn by chance, and only that is compiled.
sound = pick(["memory > 80%", "gpu <= memory_threshold", "queue >= 3", "state in [ready]", "free < 8GiB", "busy"])
tests = sound | comparisons | st.builds("{} is absent".format, operands) | facts


def joined(conditions: SearchStrategy[str]) -> SearchStrategy[str]:
    several = st.lists(conditions, min_size=2, max_size=4)
    either = several.map(" and ".join) | several.map(" or ".join)
    return either | st.builds("not {}".format, conditions) | st.builds("({})".format, conditions)


arguments = st.lists(values | facts, max_size=3).map(lambda items: f"({', '.join(items)})")
times = st.just("") | st.builds(" for {}".format, literals | names)
option = st.builds(", clear at {}".format, operands) | st.builds(", cooldown {}".format, literals) | st.just(" for 5m")
options = st.lists(option, max_size=2).map("".join)


def clauses_of(tests: SearchStrategy[str], actions: SearchStrategy[str]) -> SearchStrategy[str]:
    conditions = st.recursive(tests, joined, max_leaves=8)
    offers = st.lists(actions, max_size=4).map(lambda offered: f"consult [{', '.join(offered)}]")
    choices = actions | st.builds(str.__add__, actions, arguments) | offers
    return (
        st.builds("when {}: {}".format, conditions, actions)
        | st.builds("when {}{}{}: {}".format, conditions, times, options, choices)
        | st.builds("never {} when {}".format, actions, conditions)
        | st.builds("otherwise: {}".format, choices)
    )


titles = st.just("") | st.builds("{}: ".format, names | pick(["hot", "cold", "fallback", "rule 1"]))
clauses = clauses_of(tests, actions)
language = pick(["decides", "fallback", "on_timeout", "timeout", "max_error", "cooldown"])
assignments = st.builds("{}: {}".format, names | language | facts, operands) | st.builds("fallback: {}".format, actions)
marks = pick(["- "] * 8 + ["* ", "+ ", "  - ", "1. ", "-", "• ", ""])
tails = pick([""] * 6 + [" <!-- why -->", "\n  <!-- why\n  and how -->", " <!--", "\n\n", "\n  and busy", "\nWhy."])
bullets = st.builds("{}{}{}{}".format, marks, titles, clauses, tails) | st.builds("- {}{}".format, assignments, tails)

cells = operands | pick(["", "absent", "unknown", "consult", "fallback", "decides", "hold", "|", "\\|"])
rows = st.lists(cells, max_size=4).map(lambda row: f"| {' | '.join(row)} |")
headers = st.lists(facts | names, max_size=3).map(lambda row: f"| {' | '.join([*row, 'decides'])} |")
rulers = pick(["| --- |", "| --- | --- |", "| --- | --- | --- |", ""])
examples = st.builds("### Examples\n{}\n{}\n{}".format, headers, rulers, st.lists(rows, max_size=3).map("\n".join))

HEADING = "## LAB Pressure Spec"
starts = pick(
    [HEADING] * 9
    + ["## LAB Pressur Spec", "## LAP Pressure Spec", "### LAB Pressure Spec", "##LAB Pressure Spec", "## LAB notes"]
    + ["# Notes", "LAB Pressure Spec\n---", "### Examples", "##\u00a0LAB Pressure Spec", "## LAB Pressure spec", ""]
)
prose = pick(["", "Why.", "when busy: hold", "```", "~~~tiki", "<!-- why -->", "<!--", "-->", "---", "# Notes"])
fronts = pick([""] * 6 + ["---\ntiki: 1\n---\n", "---\ntiki: 2\n---\n", "---\n", "---\n- [\n---\n", "\ufeff"])
fences = pick(["{}"] * 4 + ["```tiki\n{}\n```", "# A page\n```tiki\n{}", "```\n{}\n```", "<!--\n{}\n-->"])
ends = pick(["\n"] * 9 + ["\r\n", "\r", "\n\r"])


def document(front: str, start: str, parts: list[str], fence: str, end: str) -> str:
    return (front + fence.replace("{}", "\n".join([start, *parts]))).replace("\n", end)


parts = st.lists(bullets | bullets | bullets | starts | prose | examples, min_size=1, max_size=8)
written = st.builds(document, fronts, starts, parts, fences, ends)
good = st.builds("- {}".format, clauses_of(sound, pick(["shed_load", "scale_out", "migrate"])))
neat = st.builds(document, st.just(""), st.just(HEADING), st.lists(good, max_size=8), st.just("{}"), st.just("\n"))

# ---------------------------------------------------------------- what happens to files

MARKS = [" ", "\n", "\t", "- ", "## ", "(", ")", "[", "|", ":", ",", '"', "<!--", "-->", "```", "---\n", "%", "not "]
STRANGE = ["\u00a0", "\u200b", "\ufeff", "\u202e", "\x00", "\r", "\x85", "\u2028", "\ud800", "é", "🙂", "９", "－"]
shreds = pick([*MARKS * 3, *STRANGE, "a" * 5000])


def damaged(text: str, edits: list[tuple[int, int, str]], doubled: bool) -> str:
    """At each place so many characters go, and a shred comes."""
    for at, gone, shred in edits:
        at %= len(text) + 1
        text = text[:at] + shred + text[at + gone :]
    return text * (1 + doubled)


edits = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 30), shreds | st.just("")), max_size=6)
broken = st.builds(damaged, pick(FILES) | neat, edits, st.booleans())
junk = st.text(max_size=300) | st.lists(shreds, max_size=40).map("".join)
paths = pick(["a.tiki", "a.tiki", "a.md", "overlays/a.tiki"])


@pytest.mark.timeout(300 + DOCUMENTS // 20)
@settings(max_examples=DOCUMENTS, deadline=None, suppress_health_check=list(HealthCheck))
@given(neat | written | broken | junk, paths)
def test_a_document_is_answered_with_findings_that_have_a_place_in_it(text: str, path: str) -> None:
    source = Source(path, text)
    found = tiki.check([source], POINTS, budget=0)
    assert_inside(found, {path: text})
    errors = {one for one in found if one.severity is Severity.ERROR}
    if errors:
        with pytest.raises(Invalid) as refused:
            tiki.build([source], POINTS)
        assert set(refused.value.diagnostics) == errors
    else:
        tiki.run_examples(tiki.build([source], POINTS))
