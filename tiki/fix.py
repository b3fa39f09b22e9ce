"""Safe fixes: what `elias tiki check --fix` does. A fix changes nothing of what the specs decide, and no other byte."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tiki.bundle import check
from tiki.diagnostics import Diagnostic, Edit, Source, errors
from tiki.findings import BUDGET
from tiki.schema import Point

_ROUNDS = 20
"""One fix may make room for another; more rounds than this nobody has seen."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """The texts afterwards, what was done to them, and what is still wrong or doubtful."""

    sources: tuple[Source, ...]
    overlays: tuple[Source, ...]
    done: tuple[Diagnostic, ...]
    left: tuple[Diagnostic, ...]


def fix(
    sources: Sequence[Source], points: Mapping[str, Point], overlays: Sequence[Source] = (), *, budget: float = BUDGET
) -> Fixed:
    """Applies every safe fix, until there is none left. Nothing is touched where the specs have errors: what they come
    to is not known then. The paths of overlays begin with `overlays/`. budget: see `tiki.check`."""
    done: list[Diagnostic] = []
    found = check(sources, points, overlays, budget=budget)
    for _ in range(_ROUNDS):
        chosen = () if errors(found) else _apart(found)
        if not chosen:
            break
        edits = [edit for one in chosen if one.fix is not None for edit in one.fix.edits]
        sources, overlays = _edited(sources, edits), _edited(overlays, edits)
        done += chosen
        found = check(sources, points, overlays, budget=budget)
    return Fixed(tuple(sources), tuple(overlays), tuple(done), tuple(found))


def _apart(found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The findings that have a fix, as many as do not meet on a line: what remains is fixed in the next round."""
    taken: set[tuple[str, int]] = set()
    chosen = []
    for one in found:
        lines = {
            (edit.path, line)
            for edit in (one.fix.edits if one.fix is not None else ())
            for line in range(edit.span.line, edit.span.end_line + 1)
        }
        if lines and not lines & taken:
            taken |= lines
            chosen.append(one)
    return tuple(chosen)


def _edited(sources: Iterable[Source], edits: Sequence[Edit]) -> tuple[Source, ...]:
    return tuple(
        Source(source.path, apply(source.text, [edit for edit in edits if edit.path == source.path]))
        for source in sources
    )


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text with these edits, which do not overlap. A column past the end of its line is the end of the line, a line
    past the end of the text the end of the text. New lines end as the line ends that they come before."""
    starts = [0, *(position + 1 for position, character in enumerate(text) if character == "\n")]

    def offset(line: int, column: int) -> int:
        if line > len(starts):
            return len(text)
        end = starts[line] - 1 if line < len(starts) else len(text)
        end -= text[:end].endswith("\r") and line < len(starts)
        return min(starts[line - 1] + column - 1, end)

    for edit in sorted(edits, key=lambda edit: (edit.span.line, edit.span.column), reverse=True):
        begin, end = offset(edit.span.line, edit.span.column), offset(edit.span.end_line, edit.span.end_column)
        ending = "\r\n" if text[text.find("\n", begin) - 1 :][:2] == "\r\n" else "\n"
        text = text[:begin] + edit.text.replace("\n", ending) + text[end:]
    return text
