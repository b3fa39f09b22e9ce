"""Quick fixes: what a finding suggests, and the cures that are safe."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tiki.diagnostics import Diagnostic, Edit, Span


@dataclass(frozen=True, slots=True)
class QuickFix:
    """What may be done about `cures`. safe: the specs decide afterwards what they decided before."""

    title: str
    edits: tuple[Edit, ...]
    cures: Diagnostic
    safe: bool


def quick_fixes(found: Iterable[Diagnostic], span: Span) -> Iterator[QuickFix]:
    """For the findings that touch a span."""
    for one in found:
        if not _touches(one, span):
            continue
        if one.fix is not None:
            yield QuickFix(_sentence(one.fix.title), one.fix.edits, one, safe=True)
        if one.suggestion is not None:
            here = Span(one.line, one.column, one.end_line, one.end_column)
            yield QuickFix(f"Write `{one.suggestion}`", (Edit(one.path, here, one.suggestion),), one, safe=False)


def _touches(found: Diagnostic, span: Span) -> bool:
    return (found.line, found.column) <= (span.end_line, span.end_column) and (span.line, span.column) <= (
        found.end_line,
        found.end_column,
    )


def _sentence(title: str) -> str:
    return title[:1].upper() + title[1:]
