"""How a finding reads on a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiki import Diagnostic, Severity
from tiki.diagnostics import WIDEST


def printed(excerpt: str, begin: int, end: int) -> tuple[str, str]:
    """The line and the marks under it. begin, end: positions from 0."""
    found = Diagnostic("TIKI-203", Severity.ERROR, "wrong", "a.tiki", 7, begin + 1, 7, end + 1, excerpt=excerpt)
    _, line, marks = str(found).split("\n")
    assert (line[:6], marks[:6]) == ("  7 | ", "    | ")
    return line[6:], marks[6:]


def test_a_short_line_is_printed_whole() -> None:
    assert printed("- when memry > 5%: hold", 7, 12) == ("- when memry > 5%: hold", "       ^^^^^")


@pytest.mark.parametrize(("begin", "before", "after"), [(0, "", "…"), (7, "", "…"), (2000, "…", "…"), (4090, "…", "")])
def test_of_a_long_line_the_part_around_the_place_is_printed(begin: int, before: str, after: str) -> None:
    line, marks = printed("x" * begin + "WRONG" + "x" * (4091 - begin), begin, begin + 5)
    assert len(line) == len(before) + WIDEST + len(after)
    assert (line[:1] == "…", line[-1:] == "…") == (bool(before), bool(after))
    assert line[marks.index("^") : len(marks)] == "WRONG"


def test_marks_end_with_what_is_shown_of_the_line() -> None:
    line, marks = printed("- " + "x" * 4094, 2, 4096)
    assert len(marks) == WIDEST
    assert line == "- " + "x" * (WIDEST - 2) + "…"


@given(st.integers(1, 300), st.data())
def test_the_marks_stand_under_the_place(size: int, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, size - 1))
    excerpt = "".join(chr(0x4E00 + at) for at in range(size))
    line, marks = printed(excerpt, begin, begin + 1)
    assert line[marks.index("^")] == excerpt[begin]
    assert marks.endswith(" ^") or marks == "^"


def test_a_place_at_the_end_of_a_line_is_marked_behind_it() -> None:
    line, marks = printed("x" * 200, 200, 200)
    assert len(marks) == len(line) + 1
    assert marks.endswith(" ^")
