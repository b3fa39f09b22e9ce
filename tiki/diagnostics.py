"""What is wrong with a text: a code, a place, a message, and what to write instead."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

MOST = 200
"""Diagnostics kept of one check. More help nobody, and hostile input must not cost memory."""


WIDEST = 120
"""Characters of a line that are printed with a finding."""


@dataclass(frozen=True, slots=True)
class Source:
    """A text and the path that it is known by."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text: lines and columns count from 1, the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(slots=True)
class Anchor:
    """Where a block of a file begins: `line` lines stand above it. An editor keeps a block that only moved and changes
    this number, the one thing in a tree that may change."""

    line: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A span of one file, with the line as it stands there. Two places never make two trees differ.

    within: the span, its lines counted from `anchor`."""

    path: str
    within: Span
    excerpt: str
    anchor: Anchor = field(default_factory=Anchor)

    @property
    def span(self) -> Span:
        """The span in the file, where it stands now."""
        above, within = self.anchor.line, self.within
        return Span(within.line + above, within.column, within.end_line + above, within.end_column)

    @property
    def line(self) -> int:
        """The first line of `span`."""
        return self.within.line + self.anchor.line

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and (self.path, self.span, self.excerpt) == (
            other.path,
            other.span,
            other.excerpt,
        )

    def __hash__(self) -> int:
        return hash((self.path, self.excerpt))  # a place that moves keeps its hash

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Note:
    """Another place that a finding is about, and what is there."""

    message: str
    place: Place


@dataclass(frozen=True, slots=True)
class Edit:
    """A span of the file `path` becomes `text`."""

    path: str
    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A cure that is safe: the specs decide afterwards what they decided before. `title` says what it does."""

    title: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `help` says how to cure it, `suggestion` is a text that may replace the span, `excerpt` the line
    it is on. `notes`: the other places that it is about; `example`: an input that shows it (`memory=95%: rule 1
    decides`); `fix`: what may be done about it without asking."""

    code: str
    severity: Severity
    message: str
    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    help: str = ""
    suggestion: str | None = None
    excerpt: str = ""
    notes: tuple[Note, ...] = ()
    example: str = ""
    fix: Fix | None = None

    def __str__(self) -> str:
        lines = [f"{self.path}:{self.line}:{self.column}: {self.severity.value} {self.code}: {self.message}"]
        if self.excerpt:
            gutter, (shown, begin, width) = str(self.line), self._shown()
            lines.append(f"  {gutter} | {shown}")
            lines.append(f"  {' ' * len(gutter)} | {' ' * begin}{'^' * width}")
        lines += [f"  {note.place}: {note.message}" for note in self.notes]
        if self.example:
            lines.append(f"  for example: {self.example}")
        if self.suggestion is not None:
            lines.append(f"  did you mean `{self.suggestion}`?")
        if self.help:
            lines.append(f"  help: {self.help}")
        if self.fix is not None:
            lines.append(f"  `--fix` can {self.fix.title}")
        return "\n".join(lines)

    def _shown(self) -> tuple[str, int, int]:
        """The excerpt, of a long one the part around the place; from where on in it the place is, and how wide."""
        begin, size = self.column - 1, len(self.excerpt)
        end = self.end_column - 1 if self.end_line == self.line else size
        first = max(0, min(begin - WIDEST // 3, size - WIDEST))
        last = min(size, first + WIDEST)
        before, after = "…" if first else "", "…" if last < size else ""
        width = max(1, min(end, last) - begin)
        return before + self.excerpt[first:last] + after, len(before) + begin - first, width


class Invalid(Exception):
    """A text that cannot be used. Carries everything that was found, not only the first."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(map(str, self.diagnostics)))

    def __reduce__(self) -> tuple[type["Invalid"], tuple[tuple[Diagnostic, ...]]]:
        return (Invalid, (self.diagnostics,))


class Report:
    """Collects diagnostics."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []
        self._seen: set[Diagnostic] = set()

    def error(self, code: str, message: str, place: Place, *, help: str = "", suggestion: str | None = None) -> None:
        found = self._found(Severity.ERROR, code, message, place)
        self.take([replace(found, help=help, suggestion=suggestion)])

    def warn(
        self,
        code: str,
        message: str,
        place: Place,
        *,
        help: str = "",
        notes: Iterable[Note] = (),
        example: str = "",
        fix: Fix | None = None,
    ) -> None:
        found = self._found(Severity.WARNING, code, message, place)
        self.take([replace(found, help=help, notes=tuple(notes), example=example, fix=fix)])

    def take(self, found: Iterable[Diagnostic]) -> None:
        """Adds what another report found; the same thing once."""
        for diagnostic in found:
            if len(self.found) < MOST and diagnostic not in self._seen:
                self.found.append(diagnostic)
                self._seen.add(diagnostic)

    def in_order(self) -> list[Diagnostic]:
        """What was found, in order of place."""
        return sorted(self.found, key=lambda found: (found.path, found.line, found.column, found.code))

    def _found(self, severity: Severity, code: str, message: str, place: Place) -> Diagnostic:
        span = place.span
        where = (place.path, span.line, span.column, span.end_line, span.end_column)
        return Diagnostic(code, severity, message, *where, excerpt=place.excerpt)


def errors(diagnostics: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    return tuple(d for d in diagnostics if d.severity is Severity.ERROR)
