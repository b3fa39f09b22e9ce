"""Formatting as edits of whole lines, so that the cursor stays where it was."""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from tiki.diagnostics import Edit, Invalid, Source, Span, errors
from tiki.editor.text import Text
from tiki.format import end_of_line, format_text
from tiki.read import read


def layout(text: str, path: str) -> list[Edit]:
    """The edits that bring a file into its printed form; none where it cannot be read."""
    return list(_edits(text, path))


def layout_of(text: str, path: str, first: int, last: int) -> list[Edit]:
    """Those of them that touch the lines from `first` to `last`; none where the file would not read the same then."""
    edits = _edits(text, path)
    chosen = [edit for edit in edits if edit.span.line <= last and first <= max(edit.span.end_line - 1, edit.span.line)]
    after = read(Source(path, Text(text).edited(chosen)))
    return chosen if after.specs == read(Source(path, text)).specs and not errors(after.diagnostics) else []


def _edits(text: str, path: str) -> Iterator[Edit]:
    try:
        printed = format_text(text, path)
    except Invalid:
        return
    end_line = end_of_line(text)
    before, after = Text(text).lines, Text(printed).lines
    for start, end, new in _changes(before, after):
        if end < len(before):
            span, parts = Span(start + 1, 1, end + 1, 1), [f"{line}{end_line}" for line in new]
        elif start:
            span = Span(start, len(before[start - 1]) + 1, end, len(before[-1]) + 1)
            parts = [f"{end_line}{line}" for line in new]
        else:
            span, parts = Span(1, 1, end, len(before[-1]) + 1), [end_line.join(new)]
        yield Edit(path, span, "".join(parts))


def _changes(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int, Sequence[str]]]:
    """Lines from, up to (from 0), and what they become."""
    same = [("replace", 0, len(before), 0, len(after))]
    codes = same if len(before) == len(after) else SequenceMatcher(None, before, after).get_opcodes()
    for kind, start, end, new_start, new_end in codes:
        if kind == "replace" and end - start == new_end - new_start:
            for old, new in zip(range(start, end), range(new_start, new_end), strict=True):
                if before[old] != after[new]:
                    yield old, old + 1, (after[new],)
        elif kind != "equal":
            yield start, end, after[new_start:new_end]
