"""Reads the Markdown lines of a file into blocks.
What nearly is a heading or a bullet of a spec is an error, never silently prose."""

import re
from collections.abc import Iterator

from tiki.diagnostics import Anchor, Place, Report, Source, Span
from tiki.document import Block, Bullet, Cell, Document, Examples, Front, Heading, Prose, Row
from tiki.front import FrontError, read_front
from tiki.limits import lines_of
from tiki.parse import LONGEST, parse_statement
from tiki.pieces import Kept, Piece, Reading, State
from tiki.values import closest

MOST_BULLETS = 2000
"""Bullets of a file; a file of this many should be several."""

_HEADING = re.compile(r"(#{1,6})[ \t](.*)")
_TIGHT_HEADING = re.compile(r"#{1,6}\S.*\bspecs?\s*", re.IGNORECASE)
BULLET = re.compile(r"([ \t]*)([-*+])([ \t]+)(?=\S)")
_NUMBERED = re.compile(r"[ \t]*\d{1,9}[.)][ \t]+(.*)")
_TIGHT_BULLET = re.compile(r"[ \t]*[-*+–—•](?:when|never|otherwise)\b.*|[ \t]*[‐‑‒–—−•·◦‣]\s*\S.*")
_UNSEEN = re.compile(r"[\u00ad\u200b-\u200f\u2060-\u2064]")
_WIDE = re.compile(r"[^\S \t\r]")
_CLAUSE = re.compile(
    r"[`*_]*(?:[a-z][a-z0-9_]*: )?(?:when\b.*:|never\b.*\bwhen\b|otherwise\s*:|decides\s*:|fallback\s*:)"
)
_FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})[ \t]*([^`]*)")
_UNDERLINE = re.compile(r"[ ]{0,3}(?:-{2,}|={2,})[ \t]*")
_ACRONYM = re.compile(r"[A-Z]{2,6}")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_RULER = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")


def read(source: Source) -> Document:
    """Reads a `.tiki` file, or the `tiki` fences of a Markdown file.
    Never raises: what is wrong stands in `diagnostics`."""
    return read_again(source).document


def read_again(source: Source, before: Reading | None = None) -> Reading:
    """The same, of a file that was read before, as long as it is known by this path: costs what has changed.

    Takes `before` over, whose document is not to be used any more: its places go where they stand now.
    """
    known = before or Reading(Document(source, ()))
    report = Report()
    lines = lines_of(source, report)
    if lines is None:
        return Reading(Document(source, (), tuple(report.found)), known.stretches, known.loose)
    reader = _Reader(source.path, lines, report, known)
    blocks = tuple(reader.fences() if source.path.endswith(".md") else reader.file())
    stretches = reader.stretches
    if reader.bullets > MOST_BULLETS:  # which of them are read hangs on all above them
        known.loose.put(piece for stretch in stretches for piece in stretch)
        if known.stretches:
            return read_again(source, Reading(known.document, [], known.loose))
        stretches = []
    return Reading(Document(source, blocks, tuple(report.found)), stretches, known.loose)


class _Reader:
    """A cursor over the lines of one file. `report` hears of the piece that is read, `whole` of the file."""

    def __init__(self, path: str, lines: list[str], report: Report, before: Reading) -> None:
        self.path, self.lines, self.whole, self.before = path, lines, report, before
        self.stretches: list[list[Piece]] = []
        self.at, self.end = 0, len(lines)
        self.state = State()
        self.report, self.anchor = report, Anchor()
        self.bullets = 0

    def place(self, line: int, column: int = 1, end_column: int | None = None) -> Place:
        """A place on one line; `line` counts from 0."""
        text, row = self.lines[line], line + 1 - self.anchor.line
        return Place(self.path, Span(row, column, row, end_column or len(text) + 1), text, self.anchor)

    def file(self) -> Iterator[Block]:
        front = self._front()
        if front is not None:
            yield front
        yield from _joined(self._stretch())

    def fences(self) -> Iterator[Block]:
        """Everything outside the `tiki` fences is prose, their own lines included."""
        start = 0
        while self.at < len(self.lines):
            found = _FENCE.fullmatch(self.lines[self.at])
            opened = self.at
            self.at += 1
            if found is None:
                continue
            closed = self._close(found[1], opened)
            if found[2].split()[:1] == ["tiki"]:
                yield Prose(tuple(self.lines[start : opened + 1]))
                self.at, self.end = opened + 1, closed
                yield from _joined(self._stretch())
                yield Heading(0, "", self.place(opened))
                start, self.end = closed, len(self.lines)
            self.at = closed + 1
        yield Prose(tuple(self.lines[start:]))

    def _close(self, fence: str, opened: int) -> int:
        """The line that closes a fence; the last one, with a diagnostic, where none does."""
        pattern = re.compile(rf"[ ]{{0,3}}{fence[0]}{{{len(fence)},}}[ \t]*")
        for line in range(opened + 1, self.end):
            if pattern.fullmatch(self.lines[line]):
                return line
        self.report.error("TIKI-107", "this fence is never closed", self.place(opened), help=f"close it with `{fence}`")
        return self.end

    def _front(self) -> Front | None:
        if self.lines[0].rstrip() != "---":
            return None
        closing = next((n for n in range(1, self.end) if self.lines[n].rstrip() == "---"), None)
        if closing is None:
            self.report.error(
                "TIKI-103", "the front matter is never closed", self.place(0), help="close it with a line `---`"
            )
            self.at = 1
            return None
        self.at = closing + 1
        try:
            return Front(read_front("\n".join(self.lines[1:closing])), tuple(self.lines[1:closing]))
        except FrontError as error:
            self.report.error("TIKI-103", str(error), self.place(min(1 + error.line, closing)))
            return None

    def _stretch(self) -> Iterator[Block]:
        """Reads up to `end`: what has changed since it was read before, and what that reaches."""
        begin = at = self.at
        known, number = self.before.stretches, len(self.stretches)
        kept = Kept(
            known[number] if number < len(known) else (), self.lines[begin : self.end], begin, self.before.loose
        )
        pieces = kept.above
        self.at, self.state = kept.line, kept.state
        self.bullets += sum(piece.bullets for piece in pieces)
        while not (rest := kept.rest(self.at, self.state)) and self.at < self.end:
            pieces.append(self._piece())
        self.bullets += sum(piece.bullets for piece in rest)
        pieces += rest
        for piece in pieces:
            piece.anchor.line = at
            at += len(piece.lines)
            if piece.found:
                self.whole.take(piece.diagnostics)
            yield from piece.blocks
        self.stretches.append(pieces)
        self.report, self.anchor = self.whole, Anchor()

    def _piece(self) -> Piece:
        first, before, counted = self.at, self.state, self.bullets
        self.report, self.anchor = Report(), Anchor(first)
        blocks = tuple(self._blocks())
        lines = tuple(self.lines[first : self.at])
        return Piece(before, lines, blocks, tuple(self.report.found), self.anchor, first, self.bullets - counted)

    def _blocks(self) -> Iterator[Block]:
        """What begins at this line."""
        line = self.lines[self.at]
        if found := _FENCE.fullmatch(line):
            yield self._fence(found)
        elif "<!--" in line and BULLET.match(line) is None:
            yield self._comment()
        elif found := _HEADING.fullmatch(line):
            yield self._heading(found)
        elif self.state.in_spec and (found := BULLET.match(line)):
            yield from self._bullet(found)
        elif self.state.in_examples and line.lstrip().startswith("|"):
            yield from self._table()
        else:
            self._near_miss(line)
            self.at += 1
            yield Prose((line,))

    def _fence(self, found: re.Match[str]) -> Prose:
        opened = self.at
        if found[2].split()[:1] == ["tiki"]:
            self.report.error(
                "TIKI-106",
                "a `tiki` fence inside a spec file is not read",
                self.place(opened),
                help="take the fence away, or name its language `text`",
            )
        self.at = min(self._close(found[1], opened) + 1, self.end)
        return Prose(tuple(self.lines[opened : self.at]))

    def _comment(self) -> Prose:
        opened = self.at
        rest = ""
        inside = False
        while self.at < self.end:
            line = self.lines[self.at]
            if inside:
                _, closed, line = line.partition("-->")
                inside = not closed
            self.at += 1
            if not inside:
                line = _COMMENT.sub("", line)
                before, begun, _ = line.partition("<!--")
                rest, inside = rest + before, bool(begun)
            if not inside:
                rest = rest.strip()
                if _CLAUSE.match(rest) or _HEADING.fullmatch(rest) or (self.state.in_examples and rest.startswith("|")):
                    self._misplaced(opened, "a comment shares its line with what looks like a part of a spec")
                return Prose(tuple(self.lines[opened : self.at]))
        self.report.error("TIKI-107", "this comment is never closed", self.place(opened), help="close it with `-->`")
        return Prose(tuple(self.lines[opened : self.end]))

    def _heading(self, found: re.Match[str]) -> Heading:
        place, level, text = self.place(self.at), len(found[1]), found[2].strip()
        self.at += 1
        words = text.split()
        spec = level == 2 and _begins_spec(words)
        if level <= 2:
            self.state = State(spec)
        if spec:
            return Heading(level, text, place, words[0], " ".join(words[:-1]))
        if _nearly_begins_spec(words):
            self.state = self.state._replace(mistitled=True)
            self.report.error(
                "TIKI-104",
                "this heading nearly begins a spec",
                place,
                help="a spec begins with a level-2 heading: `## MANAGER Title Spec`",
                suggestion=f"## {' '.join(words[:-1])} Spec" if len(words) > 2 else None,
            )
        elif self.state.in_spec and level > 2:
            self.state = self.state._replace(in_examples=level == 3 and text == "Examples")
            if not self.state.in_examples and closest(text, ["examples"]):
                self.report.error("TIKI-104", "this heading nearly begins examples", place, suggestion="### Examples")
        return Heading(level, text, place)

    def _bullet(self, found: re.Match[str]) -> Iterator[Block]:
        first = self.at
        self.at += 1
        while self.at < self.end and self._continues(self.lines[self.at]):
            self.at += 1
        lines = tuple(self.lines[first : self.at])
        known = self.before.loose.take(lines)
        if known is not None:
            self.anchor = known.place.anchor
            self.anchor.line = first
        place = self.place(first, len(found[1]) + 1)
        if self.at < self.end and self._runs_on(self.lines[self.at]):
            self._misplaced(
                self.at,
                "this line touches the bullet above it",
                "indent it to continue the bullet, or leave a blank line",
            )
        self.bullets += 1
        if self.bullets > MOST_BULLETS:
            if self.bullets == MOST_BULLETS + 1:
                self.report.error(
                    "TIKI-108", f"a file has at most {MOST_BULLETS} bullets", place, help="split it into several files"
                )
            return
        if found[1]:
            self._misplaced(first, "a bullet of a spec stands at the margin, not under another one")
        if known is not None:
            yield known
            return
        comments: list[str] = []

        def blank(comment: re.Match[str]) -> str:
            comments.append(comment[0])
            return re.sub(r"[^\n]", " ", comment[0])

        text = "\n".join((" " * found.end() + lines[0][found.end() :], *lines[1:]))
        if len(text) <= LONGEST:
            text = _COMMENT.sub(blank, text)
        if "<!--" in text:
            self.report.error(
                "TIKI-107", "this comment is never closed", place, help="close it with `-->` in the same bullet"
            )
            return
        if not text.strip():
            yield Prose(lines)
            return
        parsed = parse_statement(text, self.path, self.anchor, lines)
        self.report.take(parsed.found)
        yield Bullet(parsed.statement, tuple(comments), place)

    def _continues(self, line: str) -> bool:
        return line[:1] in (" ", "\t") and bool(line.strip()) and BULLET.match(line) is None

    def _runs_on(self, line: str) -> bool:
        return bool(line.strip()) and not re.match(r"[ \t]*([-*+][ \t]|#|\||`{3}|~{3}|<!--)", line)

    def _table(self) -> Iterator[Block]:
        rows = []
        first = self.at
        while self.at < self.end and self.lines[self.at].lstrip().startswith("|"):
            rows.append(self._row(self.at))
            self.at += 1
        if len(rows) < 2 or not _RULER.fullmatch(self.lines[first + 1].strip()):
            self.report.error(
                "TIKI-603",
                "this is not a table",
                self.place(first),
                help="write a header row, a row of `---` and the examples",
            )
            yield Prose(tuple(self.lines[first : self.at]))
            return
        width = len(rows[0].cells)
        for row in rows[1:]:
            if len(row.cells) != width:
                self.report.error("TIKI-603", f"this row has {len(row.cells)} cells, the header {width}", row.place)
        yield Examples(rows[0], tuple(row for row in rows[2:] if len(row.cells) == width), self.place(first))

    def _row(self, line: int) -> Row:
        text = self.lines[line]
        cells = []
        column = len(text) - len(text.lstrip()) + 1
        for part in text.strip().removesuffix("|")[1:].split("|"):
            start = column + 1 + len(part) - len(part.lstrip())
            cells.append(Cell(part.strip(), self.place(line, start, max(start + len(part.strip()), start + 1))))
            column += len(part) + 1
        return Row(tuple(cells), self.place(line))

    def _near_miss(self, line: str) -> None:
        """A line that would be prose: says so where it looks like a part of a spec."""
        seen = _WIDE.sub(" ", _UNSEEN.sub("", line))
        heading = _HEADING.fullmatch(seen)
        if seen != line and (
            (self.state.in_spec and (heading or BULLET.match(seen)))
            or (heading and _nearly_begins_spec(heading[2].split()))
        ):
            self.state = self.state._replace(mistitled=not self.state.in_spec)
            self.report.error(
                "TIKI-106" if self.state.in_spec else "TIKI-104",
                "this line nearly is a part of a spec: it holds a space that is not the plain one",
                self.place(self.at),
                help="write it anew, with plain spaces",
            )
        elif _TIGHT_HEADING.fullmatch(line):
            self.state = self.state._replace(mistitled=True)
            self.report.error(
                "TIKI-104", "this heading nearly begins a spec", self.place(self.at), help="put a space after `#`"
            )
        elif self._is_underlined(line):
            self.report.error(
                "TIKI-104", "this heading nearly begins a spec", self.place(self.at), suggestion=f"## {line.strip()}"
            )
        elif self.state.in_spec and _TIGHT_BULLET.fullmatch(line):
            self._misplaced(self.at, "this line nearly is a bullet", "write `- ` before it")
        elif self.state.in_spec and _TIGHT_BULLET.match(line) is None and re.match(r"[-*+][a-z][a-z0-9_]*:", line):
            self._misplaced(self.at, "this line nearly is a bullet", "put a space after the bullet's mark")
        elif found := _NUMBERED.fullmatch(line):
            if _CLAUSE.match(found[1]) or (self.state.in_spec and re.match(r"[a-z][a-z0-9_]*: ", found[1])):
                self._misplaced(self.at, "a numbered item is not a clause", "write `- ` before it")
        elif (
            not self.state.in_spec
            and not self.state.mistitled
            and (bullet := BULLET.match(line))
            and _CLAUSE.match(line[bullet.end() :])
        ):
            self._misplaced(self.at, "this clause stands in no spec", "put it under a heading `## MANAGER Title Spec`")
        elif _CLAUSE.match(line.strip()) and self.state.in_spec:
            self._misplaced(self.at, "this line looks like a clause and is no bullet", "write `- ` before it")

    def _is_underlined(self, line: str) -> bool:
        below = self.lines[self.at + 1] if self.at + 1 < self.end else ""
        return _begins_spec(line.split()) and bool(_UNDERLINE.fullmatch(below))

    def _misplaced(self, line: int, message: str, cure: str = "") -> None:
        self.report.error("TIKI-106", message, self.place(line), help=cure)


def _begins_spec(words: list[str]) -> bool:
    return len(words) > 2 and words[-1] == "Spec"


def _nearly_begins_spec(words: list[str]) -> bool:
    last = words[-1] if words else ""
    return last == "Spec" or (last.casefold() in ("spec", "specs") and _ACRONYM.fullmatch(words[0]) is not None)


def _joined(blocks: Iterator[Block]) -> Iterator[Block]:
    """Neighbouring prose in one block."""
    prose: list[str] = []
    for block in blocks:
        if isinstance(block, Prose):
            prose += block.lines
            continue
        if prose:
            yield Prose(tuple(prose))
            prose = []
        yield block
    if prose:
        yield Prose(tuple(prose))
