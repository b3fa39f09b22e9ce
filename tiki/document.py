"""A file as it is read: its lines in blocks, nothing lost, so that it can be printed again."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tiki.diagnostics import Diagnostic, Place, Source
from tiki.syntax import Statement

TESTS = "_test.tiki"
"""What the name of a file of scenarios ends in (`tiki.testing`): such a file holds no specs."""


@dataclass(frozen=True, slots=True)
class Prose:
    """Text for people: paragraphs, comments, code fences, tables that are no examples. Kept as it is."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Front:
    """The front matter; `lines` as they stand between its two lines of `---`, YAML comments included."""

    version: int
    lines: tuple[str, ...] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading. `manager` and `title` (without the word Spec) are empty unless it begins a spec. Level 0 is the end of
    a fence, which ends what stands in it and is not printed."""

    level: int
    text: str
    place: Place = field(compare=False, repr=False)
    manager: str = ""
    title: str = ""

    @property
    def begins_spec(self) -> bool:
        return bool(self.title)


@dataclass(frozen=True, slots=True)
class Bullet:
    """A bullet of a spec; `statement` is None where it could not be read. Comments stood inside it or behind it."""

    statement: Statement | None
    comments: tuple[str, ...]
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Row:
    cells: tuple[Cell, ...]
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Examples:
    """The table under `### Examples`."""

    header: Row
    rows: tuple[Row, ...]
    place: Place = field(compare=False, repr=False)


Block = Prose | Front | Heading | Bullet | Examples


@dataclass(frozen=True, slots=True)
class Spec:
    """A heading that begins a spec, with what stands under it."""

    heading: Heading
    statements: tuple[Statement, ...]
    examples: tuple[Examples, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A file, in blocks, with what is wrong with it. `fenced`: the specs of a Markdown file stand in its fences."""

    source: Source
    blocks: tuple[Block, ...]
    diagnostics: tuple[Diagnostic, ...] = field(default=(), compare=False, repr=False)

    @property
    def specs(self) -> tuple[Spec, ...]:
        return tuple(self._specs())

    def _specs(self) -> Iterator[Spec]:
        heading: Heading | None = None
        statements: list[Statement] = []
        examples: list[Examples] = []
        for block in self.blocks:
            if isinstance(block, Heading) and block.level <= 2:
                if heading is not None:
                    yield Spec(heading, tuple(statements), tuple(examples))
                heading = block if block.begins_spec else None
                statements, examples = [], []
            elif isinstance(block, Bullet) and block.statement is not None:
                statements.append(block.statement)
            elif isinstance(block, Examples):
                examples.append(block)
        if heading is not None:
            yield Spec(heading, tuple(statements), tuple(examples))
