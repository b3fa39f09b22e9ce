"""Safe fixes: what is written, what stays as it is, byte for byte."""

import lab
import pytest

import tiki
from tiki import Source
from tiki.diagnostics import Edit, Span
from tiki.fix import apply, fix


def fixed(text: str, path: str = "lab.tiki") -> str:
    (source,) = fix([Source(path, text)], lab.POINTS).sources
    return source.text


def spec(*bullets: str) -> str:
    return lab.spec("fallback: hold", *bullets)


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ("memory > 80% and memory > 90%", "memory > 90%"),
        ("memory > 90% and memory > 80%", "memory > 90%"),
        ("memory > 90%   and (memory > 80%)  and busy", "memory > 90%  and busy"),
        ("busy or (busy and queue > 3)", "busy"),
        ("(busy and queue > 3) or busy", "busy"),
        ("((busy) and queue > 3) or busy or queue > 9", "busy or queue > 9"),
        ("busy and (busy or queue > 3)", "busy"),
        ("not busy and (queue > 3 or not (busy))", "not busy"),
        ("not (busy or (busy and queue > 3))", "not (busy)"),
        ("queue > 3 and (memory > 80% or memory > 90% or busy)", "queue > 3 and (memory > 80% or busy)"),
        ("busy and\n    queue > 3 and queue > 2", "busy and\n    queue > 3"),
        ("busy and queue > 3\n    and queue > 2", "busy and queue > 3"),
        ("queue > 2 and\n    queue > 3", "queue > 3"),
        ("queue > 3 and queue > 2 <!-- why -->", "queue > 3 <!-- why -->"),
        ("busy <!-- (a note) --> and busy", "busy <!-- (a note) -->"),
        ("queue > 2 and <!-- enough --> queue > 3", "<!-- enough --> queue > 3"),
        ("busy and busy and busy", "busy"),
        ('"(" in labels and busy and busy', '"(" in labels and busy'),
        ("not ((busy) and (queue > 3)) and not ((queue > 3) and (busy))", "not ((busy) and (queue > 3))"),
    ],
)
def test_a_part_that_never_matters_is_left_out(condition: str, left: str) -> None:
    assert fixed(spec(f"when {condition}: shed_load")) == spec(f"when {left}: shed_load")


@pytest.mark.parametrize(
    "condition",
    [
        "queue > 2 <!-- more than two --> and queue > 3",
        "memory > memory_threshold and memory > 90%",
    ],
)
def test_a_part_with_a_comment_or_a_setting_is_left_to_its_author(condition: str) -> None:
    source = Source("lab.tiki", spec(f"when {condition}: shed_load"))
    (left,) = fix([source], lab.POINTS).left
    assert (left.code, left.fix) == ("TIKI-704", None)


def test_a_guard_loses_its_idle_part_too() -> None:
    before, after = "never migrate when job.gpu > 2 and job.gpu > 1", "never migrate when job.gpu > 2"
    assert fixed(spec(before)) == spec(after)


def test_an_unused_setting_goes_with_its_line() -> None:
    text = "## LAB Pressure Spec\n- fallback: hold\n\nProse.\n\n- memory_threshold: 70%\n\n- when busy: shed_load\n"
    assert fixed(text) == text.replace("- memory_threshold: 70%\n", "")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("- when busy: hold\n", "- fallback: hold\n- when busy: hold\n"),
        (
            "\nProse.\n\n- decides: lab.pressure\n\n- when busy: hold",
            "\nProse.\n\n- decides: lab.pressure\n\n- fallback: hold\n- when busy: hold",
        ),
        ("- decides: lab.pressure\n- spare: 3%\n- when memory > spare: hold\n",) * 2,
    ],
)
def test_the_fallback_that_is_in_force_is_written_down(before: str, after: str) -> None:
    after = after if before != after else before.replace("- spare", "- fallback: hold\n- spare")
    heading = "## LAB Pressure Spec\n"
    assert fixed(heading + before) == heading + after


def test_where_a_spec_speaks_of_several_points_nobody_is_told_what_falls_back() -> None:
    other = lab.POINT.model_copy(update={"name": "lab.other", "terminal": "migrate"})
    points = {**lab.POINTS, other.name: other}
    source = Source("a.tiki", "## LAB Pressure Spec\n- when busy: scale_out\n")
    result = fix([source], points)
    assert result.sources == (source,)
    assert [one.code for one in result.left] == ["TIKI-505", "TIKI-505"]


def test_the_ends_of_lines_and_all_else_stay() -> None:
    text = "# Ünïcode \N{SNOWMAN}\r\n\r\n## LAB Pressure Spec\r\n- when busy  and busy:   shed_load  \r\n\r\n\ttail\r\n"
    expected = text.replace("Spec\r\n", "Spec\r\n- fallback: hold\r\n").replace("busy  and busy", "busy")
    assert fixed(text) == expected


def test_the_fences_of_a_page_are_fixed_and_its_prose_is_not() -> None:
    bullets = "- fallback: hold\n- when busy and busy: hold\n"
    page = f"# Page\n\n- when busy and busy: hold\n\n```tiki\n## LAB Pressure Spec\n{bullets}```\n"
    head, _, tail = page.rpartition("busy and busy")
    assert fixed(page, "page.md") == f"{head}busy{tail}"


def test_an_overlay_is_fixed_where_it_stands() -> None:
    base = Source("lab.tiki", spec("hot: when busy: shed_load"))
    over = Source("overlays/test/lab.tiki", lab.spec("hot: when busy and (queue > 3 and queue > 2): shed_load"))
    result = fix([base], lab.POINTS, [over])
    assert result.sources == (base,)
    assert [source.text for source in result.overlays] == [
        lab.spec("hot: when busy and (queue > 3): shed_load"),
    ]


def test_fixes_are_told_and_fixing_again_does_nothing() -> None:
    source = Source("lab.tiki", lab.spec("memory_threshold: 5%", "when busy and busy and queue > 3: shed_load"))
    first = fix([source], lab.POINTS)
    assert sorted(one.code for one in first.done) == ["TIKI-505", "TIKI-704", "TIKI-711"]
    assert all(one.fix is not None and one.fix.title for one in first.done)
    again = fix(first.sources, lab.POINTS)
    assert (again.sources, again.done, again.left) == (first.sources, (), ())


def test_nothing_is_touched_where_something_is_wrong() -> None:
    source = Source("lab.tiki", spec("memory_threshold: 70%", "when busy and busy: shed_load"))
    wrong = Source("other.tiki", "## LAB Pressure Spec\n- when memry > 5%: hold\n")
    result = fix([source, wrong], lab.POINTS)
    assert (result.sources, result.done) == ((source, wrong), ())
    assert [one.code for one in result.left if one.severity is tiki.Severity.ERROR] == ["TIKI-301"]


@pytest.mark.parametrize(
    ("text", "span", "new", "expected"),
    [
        ("ab\ncd\n", Span(2, 1, 3, 1), "", "ab\n"),
        ("ab\ncd", Span(2, 1, 3, 1), "", "ab\n"),
        ("ab\r\ncd\r\n", Span(1, 1, 1, 1), "x\n", "x\r\nab\r\ncd\r\n"),
        ("ab\r\ncd", Span(1, 3, 1, 99), "!", "ab!\r\ncd"),
        ("ab", Span(9, 1, 9, 1), "c", "abc"),
        ("ab\ncd\n", Span(1, 2, 2, 2), "", "ad\n"),
    ],
)
def test_edits_are_made_by_line_and_column(text: str, span: Span, new: str, expected: str) -> None:
    assert apply(text, [Edit("a", span, new)]) == expected
