"""Reads a `*_test.tiki` file: Markdown in which `## Scenario: TITLE` begins a scenario and every bullet is a line of
one. What nearly is a scenario or a line is an error, never silently prose."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tiki.diagnostics import Diagnostic, Place, Report, Source, Span
from tiki.document import TESTS
from tiki.front import FrontError, read_front
from tiki.limits import lines_of
from tiki.parse import LONGEST
from tiki.testing.parse import parse_line
from tiki.testing.syntax import Decides, Given, Line, Load, Scenario, Setting
from tiki.values import closest

_SCENARIO = re.compile(r"##[ \t]+Scenario:[ \t]+(\S.*?)[ \t]*")
_NEARLY = re.compile(r"(#{1,6})[ \t]*([A-Za-z]+)\b[ \t]*([:\-–—]*)[ \t]*(.*?)[ \t]*")
_HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t]*")
_BULLET = re.compile(r"([-*+])([ \t]+)(?=\S)")
_NESTED = re.compile(r"[ \t]+[-*+][ \t]")
_STRAY = re.compile(r"(?:[-*+–—•]|\d{1,9}[.)])?[ \t]*(.*)")
_FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})[ \t]*[^`]*")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINE = re.compile(r"(?:decides\s*:|given\b.*:|load\s+\d.*:|at\s+\d.*:|from\s+\d.*:|restart\s+at\s+\d)")


@dataclass(frozen=True, slots=True)
class Prose:
    """Everything that is no line of a scenario, headings included. Kept as it is."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """Begins a scenario, or, with an empty title, a new part of the file."""

    title: str
    level: int
    text: str
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Bullet:
    """A bullet; `line` is None where it could not be read. Comments stood inside it or behind it."""

    line: Line | None
    comments: tuple[str, ...]
    place: Place = field(compare=False, repr=False)


Block = Prose | Heading | Bullet


@dataclass(frozen=True, slots=True)
class Scenarios:
    """A file of scenarios, in blocks, with what is wrong with it."""

    source: Source
    blocks: tuple[Block, ...]
    scenarios: tuple[Scenario, ...]
    diagnostics: tuple[Diagnostic, ...] = field(default=(), compare=False, repr=False)


def read(source: Source) -> Scenarios:
    """Never raises: what is wrong stands in `diagnostics`."""
    report = Report()
    lines = lines_of(source, report)
    if lines is None:
        return Scenarios(source, (), (), tuple(report.found))
    blocks = tuple(_Reader(source.path, lines, report).blocks())
    return Scenarios(source, blocks, tuple(_scenarios(blocks, report)), tuple(report.found))


def _scenarios(blocks: tuple[Block, ...], report: Report) -> Iterator[Scenario]:
    """A heading of level 1 begins a part; the bullets above its first scenario hold for all of its scenarios."""
    heading: Heading | None = None
    common: list[Line] = []
    own: list[Line] = []
    titles: dict[str, Place] = {}
    for block in (*blocks, Heading("", 1, "", Place("", Span(1, 1, 1, 1), ""))):
        if isinstance(block, Bullet) and block.line is not None:
            if heading is not None and heading.title:
                own.append(block.line)
            elif heading is None or heading.level == 1:
                _above(block.line, common, report)
            else:
                cure = "put it under a heading `## Scenario: TITLE`, or above the first one"
                report.error("TIKI-621", "this line stands in no scenario", block.place, help=cure)
        elif isinstance(block, Heading):
            if heading is not None and heading.title:
                yield Scenario(heading.title, tuple(common), tuple(own), heading.place)
            if block.title and (before := titles.setdefault(block.title, block.place)) is not block.place:
                report.error("TIKI-620", f"a scenario has this title already, at {before}", block.place)
            if block.level == 1:
                common = []
            heading, own = block, []


def _above(line: Line, common: list[Line], report: Report) -> None:
    if isinstance(line, Decides | Setting | Given | Load):
        common.append(line)
    else:
        cure = "begin one with a heading `## Scenario: TITLE`"
        report.error("TIKI-621", "this line belongs to a scenario, and none has begun here", line.place, help=cure)


class _Reader:
    """A cursor over the lines of one file."""

    def __init__(self, path: str, lines: list[str], report: Report) -> None:
        self.path, self.lines, self.report, self.at = path, lines, report, 0

    def blocks(self) -> Iterator[Block]:
        prose: list[str] = list(self._front())
        while self.at < len(self.lines):
            block = self._block()
            if isinstance(block, Prose):
                prose += block.lines
                continue
            if prose:
                yield Prose(tuple(prose))
                prose = []
            yield block
        if prose:
            yield Prose(tuple(prose))

    def _block(self) -> Block:
        line = self.lines[self.at]
        if found := _FENCE.fullmatch(line):
            return self._fence(found[1])
        if found := _BULLET.match(line):
            return self._bullet(found)
        if "<!--" in line:
            return self._comment()
        place = self._place(self.at)
        self.at += 1
        if found := _SCENARIO.fullmatch(line):
            return Heading(found[1], 2, line, place)
        if line.startswith("#"):
            self._nearly(line, place)
            if (heading := _HEADING.fullmatch(line)) and len(heading[1]) <= 2:
                return Heading("", len(heading[1]), line, place)
        elif _NESTED.match(line):
            self._stray(place, "a line of a scenario stands at the margin, not under another one")
        elif (found := _STRAY.fullmatch(line)) and _LINE.match(found[1]):
            self._stray(place, "this nearly is a line of a scenario")
        return Prose((line,))

    def _nearly(self, line: str, place: Place) -> None:
        found = _NEARLY.fullmatch(line)
        if found and closest(found[2], ["scenario"]) and (found[1] == "##" or found[3]):
            self.report.error(
                "TIKI-620",
                "this heading nearly begins a scenario",
                place,
                suggestion=f"## Scenario: {found[4]}" if found[4] else None,
                help="a scenario begins with `## Scenario: TITLE`",
            )
        elif line.endswith(" Spec") and line.startswith("## "):
            cure = f"put it in a file whose name does not end in `{TESTS}`"
            self.report.error("TIKI-620", "a spec stands in no file of scenarios", place, help=cure)

    def _stray(self, place: Place, message: str) -> None:
        self.report.error("TIKI-621", message, place, help="begin it with `- `")

    def _front(self) -> tuple[str, ...]:
        if self.lines[0].rstrip() != "---":
            return ()
        closing = next((n for n in range(1, len(self.lines)) if self.lines[n].rstrip() == "---"), None)
        if closing is None:
            cure = "close it with a line `---`"
            self.report.error("TIKI-103", "the front matter is never closed", self._place(0), help=cure)
            return ()
        try:
            read_front("\n".join(self.lines[1:closing]))
        except FrontError as error:
            self.report.error("TIKI-103", str(error), self._place(min(1 + error.line, closing)))
        self.at = closing + 1
        return tuple(self.lines[: self.at])

    def _fence(self, fence: str) -> Prose:
        opened = self.at
        closing = re.compile(rf"[ ]{{0,3}}{fence[0]}{{{len(fence)},}}[ \t]*")
        self.at += 1
        while self.at < len(self.lines):
            self.at += 1
            if closing.fullmatch(self.lines[self.at - 1]):
                return Prose(tuple(self.lines[opened : self.at]))
        cure = f"close it with `{fence}`"
        self.report.error("TIKI-107", "this fence is never closed", self._place(opened), help=cure)
        return Prose(tuple(self.lines[opened:]))

    def _comment(self) -> Prose:
        opened = self.at
        rest = ""
        while self.at < len(self.lines):
            rest = _COMMENT.sub("", f"{rest}\n{self.lines[self.at]}")
            self.at += 1
            if "<!--" not in rest:
                return Prose(tuple(self.lines[opened : self.at]))
        cure = "close it with `-->`"
        self.report.error("TIKI-107", "this comment is never closed", self._place(opened), help=cure)
        return Prose(tuple(self.lines[opened:]))

    def _bullet(self, found: re.Match[str]) -> Block:
        first = self.at
        self.at += 1
        while self.at < len(self.lines) and self._continues(self.lines[self.at]):
            self.at += 1
        lines = tuple(self.lines[first : self.at])
        place = self._place(first)
        if self.at < len(self.lines) and self._runs_on(self.lines[self.at]):
            cure = "indent it to continue the line above, or leave a blank line"
            self.report.error("TIKI-621", "this touches the line above it", self._place(self.at), help=cure)
        comments: list[str] = []

        def blank(comment: re.Match[str]) -> str:
            comments.append(comment[0])
            return re.sub(r"[^\n]", " ", comment[0])

        text = _COMMENT.sub(blank, "\n".join((" " * found.end() + lines[0][found.end() :], *lines[1:])))
        if len(text) > LONGEST:
            self.report.error("TIKI-203", f"this line is longer than {LONGEST} characters", place)
            return Bullet(None, (), place)
        if "<!--" in text:
            cure = "close it with `-->` in the same bullet"
            self.report.error("TIKI-107", "this comment is never closed", place, help=cure)
            return Bullet(None, (), place)
        if not text.strip():
            return Prose(lines)
        return Bullet(parse_line(text, self.path, first + 1, lines, self.report), tuple(comments), place)

    def _continues(self, line: str) -> bool:
        return line[:1] in (" ", "\t") and bool(line.strip()) and _NESTED.match(line) is None

    def _runs_on(self, line: str) -> bool:
        return bool(line.strip()) and re.match(r"[ \t]*([-*+][ \t]|#|`{3}|~{3}|<!--)", line) is None

    def _place(self, line: int) -> Place:
        """A whole line; `line` counts from 0."""
        text = self.lines[line]
        return Place(self.path, Span(line + 1, 1, line + 1, len(text) + 1), text)
