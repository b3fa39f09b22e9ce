"""Whether what is said about a text has its place in that text, and whether what people wrote around rules is kept."""

from collections.abc import Iterable, Mapping

from tiki import Diagnostic, Document
from tiki.diagnostics import Span
from tiki.document import Bullet, Front, Heading, Prose


def is_inside(text: str, span: Span) -> bool:
    lines = text.replace("\r\n", "\n").split("\n")
    if not 1 <= span.line <= span.end_line <= len(lines):
        return False
    width, end_width = len(lines[span.line - 1]), len(lines[span.end_line - 1])
    ordered = (span.line, span.column) <= (span.end_line, span.end_column)
    return ordered and 1 <= span.column <= width + 1 and 1 <= span.end_column <= end_width + 1


def assert_inside(found: Iterable[Diagnostic], texts: Mapping[str, str]) -> None:
    """Every finding says something, and it, its notes and its fix have their places in these files, by path. A fix may
    take the end of the last line along where the file has none."""
    for one in found:
        assert one.message, one
        assert str(one), one
        assert is_inside(texts[one.path], Span(one.line, one.column, one.end_line, one.end_column)), one
        assert all(is_inside(texts[note.place.path], note.place.span) for note in one.notes), one
        assert one.fix is None or all(is_inside(texts[edit.path] + "\n", edit.span) for edit in one.fix.edits), one


def kept(document: Document) -> list[list[str]]:
    """The words of prose, comments and headings, in order."""
    found: list[list[str]] = []
    for block in document.blocks:
        match block:
            case Prose(lines):
                found.append(" ".join(lines).split())
            case Heading():
                found.append(block.text.split())
            case Bullet():
                found.append(" ".join(block.comments).split())
            case Front():
                found.append(" ".join(block.lines).split())
    return [words for words in found if words]
