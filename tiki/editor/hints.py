"""The value of a setting, shown where a clause names it."""

from collections.abc import Iterator

from tiki.diagnostics import Report
from tiki.editor.engine import Analysis
from tiki.editor.hover import value_of
from tiki.editor.names import Kind, marks_in
from tiki.resolve import setting_values


def hints(analysis: Analysis, path: str, first: int, last: int) -> Iterator[tuple[int, int, str]]:
    """Line, column and text, for the lines from `first` to `last`. A setting that differs by point shows each value."""
    known = {}
    for mark in marks_in(analysis, path):
        span = mark.place.span
        if mark.kind is not Kind.SETTING or mark.declares or not first <= span.line <= last:
            continue
        values = []
        for point in mark.points:
            if point not in known:
                known[point] = setting_values(analysis.merged(point), Report())
            constant = known[point].get(mark.text)
            values.append("not set" if constant is None else value_of(constant))
        yield span.end_line, span.end_column, f" {' or '.join(dict.fromkeys(values))}"
