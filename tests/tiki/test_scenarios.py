"""Runs docs/tiki/testing.md, and what scenarios say of rules in time."""

import re
from functools import cache
from pathlib import Path

import lab
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_conformance import bullets, table

import tiki
from managers.uim.cli.specs.sources import points
from tiki import Point, Source, testing
from tiki.findings import codes as findings
from tiki.values import show

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tiki" / "testing.md").read_text(encoding="utf-8")
RULES = (
    "fallback: request_operator",
    "hot: when memory > 90%: shed_load(newest)",
    "room: never migrate when target.gpu_free < job.gpu",
    "otherwise: hold",
)
ABOVE = "- decides: lab.pressure\n"


def bundle(*rules: str, about: dict[str, Point] = lab.POINTS) -> tiki.Bundle:
    return tiki.build([Source(lab.PATH, lab.spec(*rules or RULES))], about)


@cache
def shipped() -> tiki.Bundle:
    return tiki.load(ROOT / "tiki_specs", points())


def file(*lines: str) -> Source:
    """One scenario with these lines."""
    text = "\n".join(line if line.startswith((" ", "#")) else f"- {line}" for line in lines)
    return Source("lab_test.tiki", f"{ABOVE}\n## Scenario: one\n{text}\n")


def outcome(source: Source, of: tiki.Bundle) -> testing.Outcome:
    return testing.run_suite(testing.suite(of, [source], examples=False))


def message(*lines: str, rules: tuple[str, ...] = RULES, about: dict[str, Point] = lab.POINTS) -> str:
    """What is wrong with a scenario; empty where it passes."""
    (case,) = outcome(file(*lines), bundle(*rules, about=about)).cases
    return case.message


def found(text: str) -> list[tiki.Diagnostic]:
    return testing.check([Source("lab_test.tiki", text)], bundle())


# -- the page --------------------------------------------------------------------------------------------------------


def test_the_scenarios_of_the_manual_pass_on_the_specs_that_ship() -> None:
    fence = re.search(r"<!-- conformance: scenario -->\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert fence
    ran = outcome(Source("manual_test.tiki", fence[1]), shipped())
    assert [case.message for case in ran.cases] == ["", ""]


@pytest.mark.parametrize(("written", "values"), table("series", PAGE))
def test_a_series_has_these_values(written: str, values: str) -> None:
    line = written.strip("`")
    name = line.split()[0]
    (plot,) = testing.suite(bundle(), [file(f"load 10s: {line}", "at 0s: hold")]).scenarios
    timeline = plot.timelines[""]
    fact = next(fact for fact in lab.POINT.facts if fact.name == name)
    column = [facts[lab.POINT.facts.index(fact)] for facts in timeline.facts]
    assert ", ".join(show(fact.type, value) for value in column) == values
    assert timeline.moments == tuple(step * 10**10 for step in range(len(column)))


@pytest.mark.parametrize(("code", "lines"), table("scenario mistakes", PAGE))
def test_a_mistake_in_a_scenario_gives_this_code_and_the_place(code: str, lines: str) -> None:
    written = "\n".join(bullets(lines))
    ends = "" if code in ("TIKI-633", "TIKI-630") or " at 0s: " in written else "\n- at 0s: hold"
    inside = written if written.startswith("#") else f"## Scenario: one\n{written}{ends}"
    text = f"{ABOVE}\n{inside}\n"
    mine = [one for one in found(text) if one.code == code]
    assert mine, [str(one) for one in found(text)]
    assert all(text.splitlines()[one.line - 1] == one.excerpt for one in mine)
    assert {one.code for one in found(text)} == {code}, [str(one) for one in found(text)]


@pytest.mark.parametrize("code", sorted({code for code, _ in table("scenario mistakes", PAGE)}))
def test_what_the_page_of_a_code_advises_against_gives_it_and_what_it_advises_passes(code: str) -> None:
    avoid, prefer = re.findall(r"```text\n(.*?)```", findings.page(code) or "", re.DOTALL)
    assert {one.code for one in testing.check([Source("page_test.tiki", avoid)], shipped())} == {code}
    assert outcome(Source("page_test.tiki", prefer), shipped()).failed == ()


def test_every_code_of_scenarios_has_lines_that_give_it() -> None:
    package = Path(tiki.__file__).parent / "testing"
    source = "".join(file.read_text(encoding="utf-8") for file in package.glob("*.py"))
    mine = {code for code in re.findall(r"TIKI-\d{3}", source) if code >= "TIKI-620"}
    assert mine == {code for code, _ in table("scenario mistakes", PAGE)}


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("load 30s: memry 70%", "memory"),
        ("lod 30s: memory 70%", "load"),
        ("memory_treshold: 70%", "memory_threshold"),
        ("at 0s: hodl", "hold"),
        ("at 0s: hold by otherwis", "otherwise"),
        ("at 0s: migrate is forbiden", "forbidden"),
        ("at 0s: migrate is forbidden by rom", "room"),
        ("load 30s: state readyx3", "ready x3"),
        ("decides: lab.presure", "lab.pressure"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(line: str, instead: str) -> None:
    suggestions = {one.suggestion for one in testing.check([file(line, "at 0s: hold")], bundle())}
    assert instead in suggestions


def test_a_time_between_two_samples_names_those_at_which_something_is_asked() -> None:
    (wrong,) = testing.check([file("load 30s: memory 70%x5", "at 1m10s: hold")], bundle())
    assert "1m and 1m30s" in wrong.help


# -- rules in time ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        ("load 10s: memory 85%+5%x3", "at 0s: hold", "at 10s: hold", "at 20s: shed_load(newest) by hot"),
        (
            "load 10s: memory 95%x3",
            "at 0s: shed_load",
            "from 10s to 30s: nothing new",
            "at 30s: still shed_load by hot",
        ),
        ("load 10s: memory 95% 50% 95%", "at 0s, 20s: shed_load", "at 10s: hold by otherwise"),
        ("given: memory unknown", "at 0s: fallback", "at 0s: request_operator"),
        ("load 5s: memory 50%x1 _x4", "from 0s to 15s: hold", "at 20s: fallback"),
        ("load 10s: memory absent", "at 0s: hold"),
        ("load 10s from 1m: memory 95%", "load 1m: gpu 5%x1", "at 0s: fallback", "at 1m: shed_load"),
        ("load 10s: memory 50%x2", "load 10s from 30s: memory 95%x1", "from 0s to 20s: hold", "at 30s: shed_load"),
        (
            "given: memory 50%",
            "at 0s: migrate with target.gpu_free=1, job.gpu=2 is forbidden by room",
            "at 0s: migrate with target.gpu_free=2 and job.gpu=2 is allowed",
            "at 0s: migrate with job.gpu=2 is forbidden",
            "at 0s: migrate with target.gpu_free=absent, job.gpu=2 is allowed",
            "at 0s: scale_out is allowed",
        ),
        (
            "load 10s on node-1: memory 95%x1",
            "load 10s on node-2: memory 50% 95%",
            "at 0s on node-1: shed_load",
            "at 0s on node-2: hold",
            "at 10s on node-1: still shed_load",
            "at 10s on node-2: shed_load",
        ),
    ],
)
def test_a_scenario_that_says_what_happens_passes(lines: tuple[str, ...]) -> None:
    assert message(*lines) == ""


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (("given: memory 95%", "at 0s: hold"), "decided shed_load(victim=newest), by hot"),
        (("given: memory 95%", "at 0s: shed_load(lowest_priority)"), "decided shed_load(victim=newest)"),
        (("given: memory 95%", "at 0s: shed_load by otherwise"), "by hot"),
        (("load 10s: memory 95%x1", "at 10s: shed_load"), "write `still shed_load`"),
        (("load 10s: memory 95%", "at 0s: still shed_load"), "anew"),
        (("load 10s: memory 50% 95%", "at 10s: nothing new"), "decided shed_load"),
        (("given: memory 50%", "at 0s: fallback"), "decided hold"),
        (("given: memory 5%", "at 0s: migrate with job.gpu=1, target.gpu_free=1 is forbidden"), "no guard forbids it"),
        (("given: memory 5%", "at 0s: migrate is allowed"), "forbidden by room"),
    ],
)
def test_a_scenario_that_is_wrong_says_what_was_decided_instead(lines: tuple[str, ...], why: str) -> None:
    said = message(*lines)
    assert said.startswith("lab_test.tiki:")
    assert why in said.partition("\n")[0]


def test_an_action_that_the_facts_alone_forbid_is_not_what_is_decided() -> None:
    rules = ("fallback: request_operator", "hot: when memory > 80%: migrate", "late: never migrate when queue > 3")
    lines = ("given: memory 85%, queue 4", "at 0s: {}")
    told = message(lines[0], lines[1].format("migrate by hot"), rules=rules)
    assert "decided migrate, by hot, but migrate is forbidden by late: the fallback answers, operator" in told
    assert "queue > 3: true (queue is 4), by 1" in told
    for expected in ("fallback", "request_operator by hot"):
        assert not message(lines[0], lines[1].format(expected), rules=rules)
    assert not message("given: memory 85%, queue 3", "at 0s: migrate by hot", rules=rules)
    unsure = message("given: memory 85%, queue unknown", "at 0s: migrate", rules=rules)
    assert "forbidden by late, late cannot be told: the fallback answers" in unsure


def test_a_failure_shows_the_facts_the_comparisons_and_what_was_decided_when() -> None:
    said = message("load 10s: memory 50% 95%x5", "at 20s: hold")
    assert "facts: memory 95%" in said
    assert "memory > 90%: true" in said
    assert re.search(r"what was decided when:\n +0s hold.*\n +10s shed_load.*by hot$", said)


TEMPORAL = (
    "fallback: request_operator",
    "hot: when memory > 90% for 30s, clear at 80%, cooldown 1m: shed_load",
    "otherwise: hold",
)


def test_a_condition_must_hold_clears_at_its_value_and_fires_again_after_its_cooldown() -> None:
    lines = (
        "load 10s: memory 50% 95%x6 85%x6 80%",
        "from 0s to 30s: hold",
        "at 40s: shed_load by hot",
        "from 50s to 1m30s: still shed_load",
        "at 1m40s: shed_load",
        "from 1m50s to 2m10s: still shed_load",
        "at 2m20s: hold",
    )
    assert "at 1m50s" not in message(*lines, rules=TEMPORAL)


def test_a_restart_forgets_how_long_something_held_and_remembers_what_is_in_force() -> None:
    lines = (
        "load 10s: memory 50% 95%x10",
        "at 40s: shed_load",
        "restart at 45s",
        "at 50s: fallback",
        "at 1m20s: shed_load",
    )
    assert message(*lines, rules=TEMPORAL) == ""
    assert message(lines[0], "restart at 5s", "at 1m: still shed_load", rules=RULES) == ""


def test_a_setting_of_a_scenario_is_in_force_in_it_alone() -> None:
    rules = ("fallback: hold", "when memory > memory_threshold: shed_load", "otherwise: hold")
    text = (
        f"{ABOVE}- memory_threshold: 60%\n- given: memory 70%\n\n## Scenario: theirs\n- at 0s: shed_load\n\n"
        "## Scenario: mine\n- memory_threshold: 75%\n- at 0s: hold\n\n# Elsewhere\n- decides: lab.pressure\n"
        "- given: memory 79%\n\n## Scenario: the default\n- at 0s: hold\n"
    )
    assert outcome(Source("lab_test.tiki", text), bundle(*rules)).failed == ()


def test_a_setting_that_breaks_the_spec_is_an_error_at_its_line() -> None:
    rules = ("fallback: hold", "when memory > memory_threshold, clear at 70%: shed_load", "otherwise: hold")
    (wrong,) = testing.check([file("memory_threshold: 60%", "at 0s: hold")], bundle(*rules))
    assert (wrong.code, wrong.line) == ("TIKI-622", 4)
    assert "clear at" in wrong.message


def test_a_point_that_answers_every_event_has_nothing_in_force() -> None:
    about = {lab.POINT.name: lab.POINT.model_copy(update={"trigger": "every"})}
    assert message("load 10s: memory 95%x3", "from 0s to 30s: shed_load", about=about) == ""
    for expected in ("nothing new", "still shed_load"):
        with pytest.raises(tiki.Invalid, match="TIKI-631"):
            message("given: memory 95%", f"at 0s: {expected}", about=about)


def test_a_month_of_reports_is_bounded() -> None:
    assert message("load 30s: memory 50%x80000 95%x2", "from 27d to 27d12h: hold") == ""
    (wrong,) = testing.check([file("load 30s: memory 5%x99999, gpu 5%x99999, load 0x99999", "at 0s: hold")], bundle())
    assert wrong.code == "TIKI-627"


def test_what_the_lines_of_a_file_look_at_is_bounded() -> None:
    looks = ["from 0s to 35d: hold"] * 10
    (wrong,) = testing.check([file("load 30s: memory 50%x99999", *looks)], bundle())
    assert (wrong.code, wrong.line) == ("TIKI-627", 3)
    assert testing.check([file("load 30s: memory 50%x99999", *looks[1:])], bundle()) == []


@pytest.mark.timeout(60)
def test_of_a_month_of_failures_the_first_are_told() -> None:
    lines = message("load 30s: memory 95%x80000", "from 0s to 25d: hold").splitlines()
    assert sum("expected hold" in line for line in lines) == 5
    assert lines[-1] == "and 71996 more lines and moments like these"


# -- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("---\nlanguage: 1\n---\n", "TIKI-103"),
        ("---\ntiki: 1\n", "TIKI-103"),
        ("```\nnever closed\n", "TIKI-107"),
        ("<!-- never closed\n", "TIKI-107"),
        ("- given: memory 5% <!-- never closed\n", "TIKI-107"),
        ("\x00", "TIKI-101"),
        ("x" * 5000, "TIKI-101"),
        ("## Notes\n- at 0s: hold\n", "TIKI-621"),
        ("- at 0s: hold\n", "TIKI-621"),
        ("## Scenario: one\n- decides: lab.pressure\n- at 0s: hold\nand on\n", "TIKI-621"),
        ("- decides: lab.pressure\n## Scenario: a\n- at 0s: hold\n## Scenario: a\n- at 0s: hold\n", "TIKI-620"),
        ("- decides: lab.pressure\n- decides: lab.pressure\n## Scenario: a\n- at 0s: hold\n", "TIKI-625"),
        ("## Scenario: a\n- at 0s: hold\n", "TIKI-624"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(text: str, code: str) -> None:
    assert {one.code for one in found(text)} == {code}


def test_prose_fences_comments_and_windows_line_ends_are_no_lines() -> None:
    text = (
        f"---\r\ntiki: 1\r\n---\r\n\r\n# Why\r\n{ABOVE}\r\nAt 5 nothing happens.\r\n\r\n## Scenario: one\r\n\r\n"
        "```\r\n- at 0s: nonsense\r\n```\r\n<!--\r\n- at 0s: nonsense\r\n-->\r\n"
        "- given: memory 95% <!-- high -->\r\n- at 0s:\r\n    shed_load\r\n\r\n### Notes\r\n1. one\r\n"
    )
    assert [case.message for case in outcome(Source("lab_test.tiki", text), bundle()).cases] == [""]


def test_scenarios_are_no_part_of_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "lab.tiki").write_text(lab.spec(*RULES))
    before = tiki.load(tmp_path, lab.POINTS)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "lab_test.tiki").write_text(file("given: memory 95%", "at 0s: shed_load").text)
    assert tiki.load(tmp_path, lab.POINTS).digest == before.digest
    (source,) = testing.read_tests(tmp_path)
    assert source.path == "below/lab_test.tiki"
    assert outcome(source, before).failed == ()


def test_tests_that_are_no_text_are_refused_with_their_path(tmp_path: Path) -> None:
    (tmp_path / "bad_test.tiki").write_bytes(b"\xff\xfe")
    with pytest.raises(tiki.Invalid, match=r"bad_test\.tiki"):
        testing.read_tests(tmp_path)


UNTIDY = """\
# Why
-   decides:   lab.pressure
* given:memory   70% ,gpu 80%   <!-- both
  of them -->
## Scenario:   one

Prose  stays.
+ load 30s from 1m on a,b : memory 70% + 5%
"""

TIDY = """\
# Why
- decides: lab.pressure
- given: memory 70%, gpu 80% <!-- both of them -->

## Scenario: one

Prose  stays.
- load 30s from 1m on a, b: memory 70%+5%x6, state ready x3
- from 0s to 2m30s: shed_load(newest, 30s) by rule 1
- at 1m, 2m on a: migrate with target.gpu_free=1, job.gpu=2 is forbidden
"""


def test_scenarios_are_written_one_way() -> None:
    rest = (
        ",state  ready x3\n- from 0s  to 2m30s:shed_load( newest,30s ) by  rule 1\n"
        "- at 1m,2m on a: migrate with target.gpu_free = 1 and job.gpu=2 is forbidden\n"
    )
    assert tiki.format_text(UNTIDY.replace(" + 5%\n", f"+5% x6{rest}"), "lab_test.tiki") == TIDY
    assert tiki.format_text(TIDY, "lab_test.tiki") == TIDY


def test_a_file_with_mistakes_is_not_formatted() -> None:
    with pytest.raises(tiki.Invalid):
        tiki.format_text(UNTIDY.replace("given", "givn"), "lab_test.tiki")


def test_the_ends_of_lines_stay_what_they_are() -> None:
    written = UNTIDY.replace("\n", "\r\n")
    assert tiki.format_text(written, "lab_test.tiki") == tiki.format_text(UNTIDY, "lab_test.tiki").replace("\n", "\r\n")


VOCABULARY = (
    "load given at from to on 30s 2m30s : , memory gpu 70%+5%x6 _ _x3 x3 absent ready hold still nothing new by "
    "consult [ ] ( ) with = is forbidden allowed hot rule 1 restart decides lab.pressure"
)
words = st.sampled_from([*VOCABULARY.split(), '"', '"a b"', "\n  ", "<!-- -->"])
lines = st.lists(words, min_size=1, max_size=14).map(lambda parts: f"- {' '.join(parts)}")
prose = st.sampled_from(["", "Prose.", "## Scenario: one", "# Part", "```", "<!-- a", "-->", "| a |", "### Notes"])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(lines, prose), max_size=8))
def test_any_text_is_read_with_places_inside_it_and_formats_to_the_same_scenarios(parts: list[str]) -> None:
    text = "\n".join([ABOVE, "## Scenario: first", *parts])
    wrong = found(text)
    last = len(text.split("\n"))
    assert all(1 <= one.line <= last and one.column >= 1 and one.end_line <= last for one in wrong)
    try:
        printed = tiki.format_text(text, "lab_test.tiki")
    except tiki.Invalid:
        assert wrong
        return
    assert tiki.format_text(printed, "lab_test.tiki") == printed
    assert {(one.code, one.message) for one in found(printed)} == {(one.code, one.message) for one in wrong}
