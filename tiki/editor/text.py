"""A text as an editor counts it and as TIKI counts it.

The Language Server Protocol (3.17, "Text Documents") counts lines from 0, ends them by a line feed, a carriage return
or both, and counts columns in UTF-16 code units, unless something else was agreed on. TIKI counts lines and columns
from 1, ends lines by a line feed with or without a carriage return before it, and counts characters. The two meet in
the offset of a character from the start.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import accumulate

from tiki.diagnostics import Edit, Span

Position = tuple[int, int]
"""Line and column of the protocol, both from 0."""

_BREAK = re.compile(r"\r\n|\r|\n")
_WIDTHS: dict[str, Callable[[str], int]] = {
    "utf-8": lambda text: len(text.encode("utf-8", "surrogatepass")),
    "utf-16": lambda text: len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2,
    "utf-32": len,
}
ENCODINGS = tuple(_WIDTHS)
"""What columns may be counted in."""


class Text:
    """A text that does not change; `changed` gives another."""

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        self.text = text
        self.encoding = encoding
        self._width = _WIDTHS[encoding]

    @cached_property
    def starts(self) -> list[int]:
        """The offset at which each line of the protocol starts."""
        if "\r" not in self.text:
            return self._line_starts
        return [0, *(found.end() for found in _BREAK.finditer(self.text))]

    @cached_property
    def lines(self) -> list[str]:
        """TIKI's lines, without their ends."""
        return self.text.replace("\r\n", "\n").split("\n")

    @cached_property
    def _line_starts(self) -> list[int]:
        """The offset at which each line of TIKI starts."""
        return [0, *accumulate(len(line) + 1 for line in self.text.split("\n")[:-1])]

    def offset(self, position: Position) -> int:
        """The offset of a position; one beyond the end of its line, or of the text, is that end."""
        line, column = position
        if line >= len(self.starts):
            return len(self.text)
        start = self.starts[line]
        stop = self.starts[line + 1] if line + 1 < len(self.starts) else len(self.text)
        found = self.text[start:stop].rstrip("\r\n")
        if found.isascii() or self.encoding == "utf-32":
            return start + min(max(column, 0), len(found))
        for index, wide in enumerate(accumulate(map(self._width, found))):
            if wide > column:
                return start + index
        return start + len(found)

    def position(self, offset: int) -> Position:
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self.starts, offset) - 1
        return line, self._width(self.text[self.starts[line] : offset])

    def place(self, position: Position) -> tuple[int, int]:
        """Line and column of TIKI."""
        offset = self.offset(position)
        line = bisect_right(self._line_starts, offset) - 1
        return line + 1, offset - self._line_starts[line] + 1

    def at(self, line: int, column: int) -> Position:
        """The position of a line and column of TIKI. What lies beyond a line or the text is its end."""
        starts = self._line_starts
        if line > len(starts):
            return self.position(len(self.text))
        start = starts[max(line, 1) - 1]
        end = start + len(self.lines[max(line, 1) - 1])
        return self.position(min(start + max(column, 1) - 1, end))

    def range(self, span: Span) -> tuple[Position, Position]:
        return self.at(span.line, span.column), self.at(span.end_line, span.end_column)

    def changed(self, start: Position, end: Position, text: str) -> "Text":
        """With what stands from `start` to `end` replaced. The ends may come in the wrong order."""
        first, last = sorted((self.offset(start), self.offset(end)))
        return Text(self.text[:first] + text + self.text[last:], self.encoding)

    def edited(self, edits: Iterable[Edit]) -> str:
        """With edits that do not overlap made, whatever file they name."""
        found = self.text
        for first, last, text in sorted(self._offsets(edits), reverse=True):
            found = found[:first] + text + found[last:]
        return found

    def _offsets(self, edits: Iterable[Edit]) -> Iterator[tuple[int, int, str]]:
        for edit in edits:
            start, end = self.range(edit.span)
            yield self.offset(start), self.offset(end), edit.text
