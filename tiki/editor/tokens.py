"""Colours by meaning: which word is a fact, a setting, an action, a value, a word of the language."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tiki.diagnostics import Span
from tiki.document import Bullet
from tiki.editor.engine import Analysis
from tiki.editor.names import Kind, marks_in
from tiki.parse import WORDS
from tiki.read import BULLET

LEGEND = (
    "keyword",
    "number",
    "string",
    "operator",
    "comment",
    "variable",
    "property",
    "parameter",
    "function",
    "event",
    "namespace",
    "enumMember",
    "class",
)
"""The token types in use, all of them standard in the protocol."""

_TYPES = {
    Kind.FACT: "variable",
    Kind.SETTING: "property",
    Kind.ATTRIBUTE: "parameter",
    Kind.ACTION: "function",
    Kind.CLAUSE: "event",
    Kind.POINT: "namespace",
    Kind.TIER: "enumMember",
    Kind.VALUE: "enumMember",
    Kind.TITLE: "class",
}
_LEXEME = re.compile(
    r"(?P<comment><!--.*?(?:-->|$))|(?P<string>\"[^\"]*\"?)|(?P<number>-?\d[0-9A-Za-z_.%]*)"
    r"|(?P<operator>==|!=|<=|>=|[<>])|(?P<word>[A-Za-z][A-Za-z0-9_.]*)"
)


@dataclass(frozen=True, slots=True, order=True)
class Token:
    """One word, on one line. declares: a name is set or given here."""

    line: int
    column: int
    end_column: int
    type: str
    declares: bool = False

    @property
    def span(self) -> Span:
        return Span(self.line, self.column, self.line, self.end_column)


def tokens(analysis: Analysis, path: str, first: int = 1, last: int | None = None) -> list[Token]:
    """The tokens on the lines from `first` to `last`, in order; none lies over another."""
    document = analysis.documents.get(path)
    if document is None:
        return []
    lines = document.source.text.replace("\r\n", "\n").split("\n")
    last = len(lines) if last is None else min(last, len(lines))
    named = [
        Token(span.line, span.column, span.end_column, _TYPES[mark.kind], mark.declares)
        for mark in marks_in(analysis, path)
        if (span := mark.place.span).line == span.end_line and first <= span.line <= last
    ]
    taken = {(token.line, column) for token in named for column in range(token.column, token.end_column)}
    plain = [
        token
        for block in document.blocks
        if isinstance(block, Bullet) and block.place.span.line <= last
        for token in _bullet(lines, block.place.span.line, first, last)
        if (token.line, token.column) not in taken
    ]
    return sorted([*named, *plain])


def _bullet(lines: Sequence[str], start: int, first: int, last: int) -> Iterator[Token]:
    """The words of one bullet, by their looks."""
    for line in range(start, len(lines) + 1):
        text = lines[line - 1]
        bullet = BULLET.match(text)
        if line > start and (bullet or not text.strip() or text[0] not in " \t"):
            return
        if first <= line <= last:
            for found in _LEXEME.finditer(text, bullet.end() if bullet else 0):
                type_ = "keyword" if found["word"] in WORDS else found.lastgroup
                if type_ is not None and type_ != "word":
                    yield Token(line, found.start() + 1, found.end() + 1, type_)
