"""Positions of the protocol and places of TIKI, on texts with everything that makes them differ."""

from hypothesis import given
from hypothesis import strategies as st

from tiki.diagnostics import Edit, Span
from tiki.editor.text import ENCODINGS, Text

CODECS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}
texts = st.text("ab é\U0001f600\r\n\u2028\x0b\ud800", max_size=40)
positions = st.tuples(st.integers(0, 8), st.integers(0, 20))


def units(text: str, encoding: str) -> int:
    codec, size = CODECS[encoding]
    return len(text.encode(codec, "surrogatepass")) // size


@given(texts, st.sampled_from(ENCODINGS), st.integers(0, 40))
def test_every_offset_has_a_position_that_leads_back_to_it(text: str, encoding: str, offset: int) -> None:
    whole = Text(text, encoding)
    offset = min(offset, len(text))
    line, column = whole.position(offset)
    before = text[:offset]
    ended = max(before.rfind("\n"), before.rfind("\r")) + 1
    if text[offset - 1 : offset + 1] != "\r\n":  # there is no place between the two
        assert column == units(before[ended:], encoding)
        assert whole.offset((line, column)) == offset


@given(texts, st.sampled_from(ENCODINGS), positions)
def test_a_position_beyond_its_line_is_its_end(text: str, encoding: str, position: tuple[int, int]) -> None:
    whole = Text(text, encoding)
    line, column = whole.position(whole.offset(position))
    assert line <= max(position[0], 0)
    assert column <= position[1] or (line, column) == whole.position(len(text))
    assert 1 <= whole.place(position)[0] <= len(whole.lines)


@given(texts, positions, positions, texts)
def test_a_change_replaces_what_is_between_its_ends(
    text: str, start: tuple[int, int], end: tuple[int, int], new: str
) -> None:
    whole = Text(text)
    first, last = sorted((whole.offset(start), whole.offset(end)))
    assert whole.changed(start, end, new).text == text[:first] + new + text[last:]


@given(texts, st.integers(1, 9), st.integers(1, 20))
def test_a_place_of_tiki_is_the_same_character(text: str, line: int, column: int) -> None:
    whole = Text(text)
    line = min(line, len(whole.lines))
    column = min(column, len(whole.lines[line - 1]) + 1)
    offset = whole.offset(whole.at(line, column))
    rest = whole.lines[line - 1][column - 1 :]
    if not rest.startswith("\n") and "\r" not in text:
        assert text[offset:].startswith(rest)
        assert whole.place(whole.at(line, column)) == (line, column)


def test_an_emoji_is_two_columns_and_one_character() -> None:
    whole = Text("a\U0001f600b\r\nc")
    assert whole.place((0, 3)) == (1, 3)
    assert whole.at(1, 3) == (0, 3)
    assert whole.place((1, 0)) == (2, 1)
    assert Text("a\U0001f600b", "utf-8").place((0, 5)) == (1, 3)


def test_edits_are_made_from_the_end() -> None:
    edits = [Edit("a", Span(1, 1, 1, 2), "long"), Edit("a", Span(2, 1, 2, 2), "b")]
    assert Text("a\na\n").edited(edits) == "long\nb\n"
