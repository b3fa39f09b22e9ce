"""An editor at work: a text, then edits anywhere; whatever is asked at any place is answered with places inside it."""

from collections.abc import Iterator
from contextlib import suppress

import tiki
from tests.fuzz.documents import text_of
from tests.tiki import lab
from tests.tiki.places import assert_inside, is_inside
from tiki.diagnostics import Place, Span
from tiki.editor import convert, navigate
from tiki.editor.complete import complete
from tiki.editor.engine import Analysis
from tiki.editor.fixes import quick_fixes
from tiki.editor.hints import hints
from tiki.editor.hover import hover
from tiki.editor.layout import layout, layout_of
from tiki.editor.names import mark_at
from tiki.editor.outline import Part, folds, outline
from tiki.editor.project import Buffer, Project
from tiki.editor.text import ENCODINGS, Position, Text
from tiki.editor.tokens import tokens

PATHS = ("a.tiki", "overlays/test/a.tiki", "b.md")
BREAK = b"\0"
"""Parts the first text, which is that of the first path, from the edits, and these from each other."""
_MOST = 6
"""Edits that are made of one input."""


def edit(path: int, start: Position, end: Position, text: str) -> bytes:
    """An edit as it stands in an input. Each number counts up to 254; `end` is relative to the lines and columns of
    `start`."""
    numbers = (path, *start, *end)
    return BREAK + bytes(number % 255 + 1 for number in numbers) + text.encode()


def editor(raw: bytes) -> None:
    first, *edits = raw.split(BREAK)
    project = Project(lab.POINTS)
    texts = {path: Text("", ENCODINGS[len(raw) % len(ENCODINGS)]) for path in PATHS}
    _open(project, PATHS[0], Text(text_of(first), texts[PATHS[0]].encoding), 0)
    texts[PATHS[0]] = project.buffers[PATHS[0]].text
    _ask(project, PATHS[0], (len(raw) % 40, len(raw) % 60))
    for version, change in enumerate(edits[:_MOST], 1):
        which, line, column, down, right = (byte - 1 for byte in change[:5].ljust(5, b"\1"))
        path, start, end = PATHS[which % len(PATHS)], (line, column), (line + down, right if down else column + right)
        texts[path] = texts[path].changed(start, end, text_of(change[5:]))
        _open(project, path, texts[path], version)
        _ask(project, path, start)


def _open(project: Project, path: str, text: Text, version: int) -> None:
    project.open(path, Buffer(f"file:///{path}", text, version))


def _ask(project: Project, path: str, position: Position) -> None:
    """Everything that an editor asks, at one position of one file."""
    text = project.buffers[path].text
    line, column = text.place(position)
    completed = complete(project.recent(path), path, text.lines, line, column)
    if completed is not None:
        assert is_inside(text.text, completed.span), completed
        convert.completion(completed, text)
    analysis = project.analysis(path)
    _as_from_scratch(project, path, analysis)
    locate = {name: (buffer.uri, buffer.text) for name, buffer in project.buffers.items()}
    for found in project.found().values():
        for one in found:
            convert.diagnostic(one, project.buffers[one.path].text, locate)
    for fix in quick_fixes(analysis.in_file(path), Span(line, 1, line, column)):
        text.edited(edit for edit in fix.edits if edit.path == path)
    for span in _spans(project, analysis, path, line, column):
        assert is_inside(text.text, span), span
        start, end = text.range(span)
        assert (0, 0) <= start <= end <= text.position(len(text.text)), span
    for place in _places(analysis, path, line, column):
        assert is_inside(project.buffers[place.path].text.text, place.span), place


def _as_from_scratch(project: Project, path: str, analysis: Analysis) -> None:
    sources, overlays = project.parts(project.environment(path))
    assert list(analysis.found) == tiki.check(sources, lab.POINTS, overlays, budget=0)
    assert_inside(analysis.found, {name: buffer.text.text for name, buffer in project.buffers.items()})


def _places(analysis: Analysis, path: str, line: int, column: int) -> Iterator[Place]:
    mark = mark_at(analysis, path, line, column)
    if mark is not None:
        yield from navigate.definitions(analysis, mark)
        yield from navigate.references(analysis, mark)
        with suppress(navigate.CannotRename):
            navigate.may_rename(analysis, mark)


def _spans(project: Project, analysis: Analysis, path: str, line: int, column: int) -> Iterator[Span]:
    """Whatever else is said of one file, by its spans there."""
    text = project.buffers[path].text
    hovered = hover(analysis, path, line, column)
    if hovered is not None:
        yield hovered[1]
    coloured = tokens(analysis, path)
    convert.semantic_tokens(coloured, text)
    yield from (token.span for token in coloured)
    yield from (edit.span for edit in layout(text.text, path))
    yield from (edit.span for edit in layout_of(text.text, path, line, line + 3))
    yield from (Span(row, start, row, start) for row, start, _ in hints(analysis, path, 1, len(text.lines)))
    document = analysis.documents.get(path)
    if document is not None:
        yield from (Span(first, 1, last, 1) for first, last in folds(document))
        for part in outline(document):
            convert.symbol(part, text)
            yield from _parts(part)


def _parts(part: Part) -> Iterator[Span]:
    yield part.whole
    yield part.name
    for inner in part.parts:
        yield from _parts(inner)
