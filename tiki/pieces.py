"""What a file was read as, piece by piece, so that after an edit only the pieces around it are read again.

A piece hangs on its own lines, on the line behind them, and on what the lines above it mean for them; nothing else. Two
readings that meet at the same line of an unchanged rest of a file with the same `State` go on in the same way.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from operator import eq
from typing import NamedTuple

from tiki.diagnostics import Anchor, Diagnostic
from tiki.document import Block, Bullet, Document

_MOST_LOOSE = 2000
"""Bullets that stand in no text at the moment and are remembered."""


class State(NamedTuple):
    """What the lines above mean for the next one. mistitled: a heading above nearly begins a spec."""

    in_spec: bool = False
    in_examples: bool = False
    mistitled: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """A bullet, a table, a fence, a comment, a heading or one line of prose, as it was read behind `before`. Its places
    hang on `anchor`, which was at line `born` when `found` was said. bullets: how many it counts for, 0 or 1."""

    before: State
    lines: tuple[str, ...]
    blocks: tuple[Block, ...]
    found: tuple[Diagnostic, ...]
    anchor: Anchor
    born: int
    bullets: int

    @property
    def diagnostics(self) -> Iterable[Diagnostic]:
        """What is wrong, where the piece stands now."""
        by = self.anchor.line - self.born
        if by == 0:
            return self.found
        return [replace(one, line=one.line + by, end_line=one.end_line + by) for one in self.found]


class Loose:
    """Bullets that were taken out of a text, by their lines: one that comes back is not parsed again."""

    def __init__(self) -> None:
        self._bullets: dict[tuple[str, ...], Bullet] = {}

    def put(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            for block in piece.blocks:
                if isinstance(block, Bullet) and block.statement is not None:
                    self._bullets[piece.lines] = block
        while len(self._bullets) > _MOST_LOOSE:
            del self._bullets[next(iter(self._bullets))]

    def take(self, lines: tuple[str, ...]) -> Bullet | None:
        """A bullet that nobody else takes: its anchor is free."""
        return self._bullets.pop(lines, None)


@dataclass(slots=True)
class Reading:
    """A document, and the pieces of each stretch of its file that holds specs: the file itself, or one fence."""

    document: Document
    stretches: list[list[Piece]] = field(default_factory=list)
    loose: Loose = field(default_factory=Loose)


class Kept:
    """The pieces of a stretch that may stand in its text of now, `lines`, the first of which is line `begin` (from 0).

    above: those that the change cannot have reached. state: behind them, at `line`.
    """

    def __init__(self, pieces: Sequence[Piece], lines: Sequence[str], begin: int, loose: Loose) -> None:
        old = [line for piece in pieces for line in piece.lines]
        same = _alike(old, lines)
        tail = min(_alike(reversed(old), reversed(lines)), len(old) - same, len(lines) - same)
        self.above: list[Piece] = []
        self.line = begin
        self._below: deque[tuple[int, Piece]] = deque()
        self._loose = loose
        at, shift = 0, begin + len(lines) - len(old)
        for piece in pieces:
            if at + len(piece.lines) < same:
                self.above.append(piece)
                self.line += len(piece.lines)
            elif at >= len(old) - tail:
                self._below.append((at + shift, piece))
            else:
                loose.put([piece])
            at += len(piece.lines)
        self.state = pieces[len(self.above)].before if pieces else State()

    def rest(self, line: int, state: State) -> list[Piece]:
        """All pieces from `line` on, where they were read in this state. Those that the reading has passed are given
        up."""
        while self._below and self._below[0][0] <= line:
            at, piece = self._below[0]
            if at == line and piece.before == state:
                return [piece for _, piece in self._below]
            self._loose.put([piece])
            self._below.popleft()
        return []


def _alike(left: Iterable[str], right: Iterable[str]) -> int:
    """How many lines are the same from the first one on."""
    return sum(1 for _ in takewhile(bool, map(eq, left, right)))
