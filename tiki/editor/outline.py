"""The parts of a file: its headings with what stands under them, and what may be folded away."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tiki.diagnostics import Span
from tiki.document import Bullet, Document, Examples, Front, Heading
from tiki.format import print_condition, print_operand
from tiki.syntax import Assignment, Guard, Otherwise, Rule, Statement

PartKind = Literal["section", "spec", "setting", "rule", "guard", "otherwise", "examples"]


@dataclass(slots=True)
class Part:
    """name: where its name stands; whole: all of it, the parts under it included."""

    kind: PartKind
    title: str
    detail: str
    name: Span
    whole: Span
    parts: list["Part"] = field(default_factory=list)
    level: int = 7


def outline(document: Document) -> list[Part]:
    """Headings, each with the headings and bullets under it."""
    top: list[Part] = []
    open_: list[Part] = []
    last = _last_line(document)
    for block in document.blocks:
        match block:
            case Heading(level=0):
                _close(open_, 0, block.place.span.line)
            case Heading():
                _close(open_, block.level, block.place.span.line)
                span = block.place.span
                kind: PartKind = "spec" if block.begins_spec else "section"
                part = Part(kind, block.title or block.text, "", span, Span(span.line, 1, *last), level=block.level)
                (open_[-1].parts if open_ else top).append(part)
                open_.append(part)
            case Bullet(statement=Assignment() | Rule() | Guard() | Otherwise() as statement):
                (open_[-1].parts if open_ else top).append(_statement(statement))
            case Examples():
                end = (block.rows or (block.header,))[-1].place.span
                whole = Span(block.place.span.line, 1, end.end_line, end.end_column)
                part = Part("examples", f"{len(block.rows)} examples", "", block.place.span, whole)
                (open_[-1].parts if open_ else top).append(part)
    return top


def folds(document: Document) -> Iterator[tuple[int, int]]:
    """First and last line (from 1) of what may be folded: sections, tables, bullets of several lines, front matter."""
    lines = document.source.text.replace("\r\n", "\n").split("\n")
    if any(isinstance(block, Front) for block in document.blocks[:1]):
        closing = next((n for n in range(1, len(lines)) if lines[n].rstrip() == "---"), 0)
        if closing:
            yield 1, closing + 1
    yield from _folds(outline(document), lines)


def _folds(parts: Sequence[Part], lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    for part in parts:
        last = part.whole.end_line
        while last > part.whole.line and not lines[last - 1].strip():
            last -= 1
        if last > part.whole.line:
            yield part.whole.line, last
        yield from _folds(part.parts, lines)


def _close(open_: list[Part], level: int, line: int) -> None:
    """Ends the parts that a heading of this level ends, on the line before it."""
    while open_ and open_[-1].level >= level:
        part = open_.pop()
        end = max(line - 1, part.name.end_line)
        column = part.name.end_column if end == part.name.end_line else 1
        part.whole = Span(part.whole.line, 1, end, column)


def _statement(statement: Statement) -> Part:
    span = statement.place.span
    match statement:
        case Assignment(name, values):
            shown = ", ".join(map(print_operand, values))
            return Part("setting", name.text, shown, name.place.span, span)
        case Rule():
            kind: PartKind = "rule"
            title = f"when {print_condition(statement.condition)}"
        case Guard():
            kind, title = "guard", f"never {statement.action.text} when {print_condition(statement.condition)}"
        case Otherwise():
            kind, title = "otherwise", "otherwise"
    title = title if len(title) <= 80 else f"{title[:77]}..."
    if statement.name is not None:
        return Part(kind, statement.name.text, title, statement.name.place.span, span)
    return Part(kind, title, "", span, span)


def _last_line(document: Document) -> tuple[int, int]:
    lines = document.source.text.replace("\r\n", "\n").split("\n")
    return len(lines), len(lines[-1]) + 1
