"""The check of a bundle, made again and again while somebody types.

It is `tiki.check` in the same steps (read, place, check by groups), each of which keeps what a change does not reach:
the pieces of a file, the groups whose specs say the same, the conditions of the others. A line that is inserted moves
what stands below it by its anchors, and costs no more than another letter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiki.bundle import in_order, misplaced
from tiki.diagnostics import Diagnostic, Report, Source
from tiki.document import Document, Examples, Heading, Spec
from tiki.findings import quick, sound
from tiki.groups import Checked, Group, check_group, groups
from tiki.merge import Merged, Placed, place
from tiki.pieces import Reading
from tiki.read import read_again
from tiki.schema import Point
from tiki.syntax import Statement
from tiki.terms import Memory


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a bundle's texts come to. documents: by path, those of the overlay too. found: in order of place."""

    points: Mapping[str, Point]
    documents: Mapping[str, Document]
    placed: tuple[Placed, ...]
    groups: Mapping[str, Checked]
    found: tuple[Diagnostic, ...]

    def merged(self, point: str) -> Merged:
        return self.groups[point].merged[point]

    def in_file(self, path: str) -> list[Diagnostic]:
        return [one for one in self.found if one.path == path]


class Reader:
    """Reads files. Of a file that was read before, only what has changed is read again."""

    def __init__(self) -> None:
        self._readings: dict[str, Reading] = {}

    def read(self, source: Source) -> Document:
        before = self._readings.get(source.path)
        if before is None or before.document.source.text != source.text:
            before = self._readings[source.path] = read_again(source, before)
        return before.document


@dataclass(frozen=True, slots=True)
class _Known:
    """What was made of a group. clean: those of its points that no error was about; doubts: about these. lines: where
    its parts stood then, which holds for findings alone: all else moves with its text."""

    group: Group
    checked: Checked
    clean: frozenset[str]
    doubts: tuple[Diagnostic, ...]
    lines: tuple[int, ...]

    def holds(self, group: Group, found: Sequence[Diagnostic]) -> bool:
        """Whether the group still says the same, and the same is `found` at the same places."""
        return _says(self.group) == _says(group) and (not found or self.lines == _lines(group))


class Engine:
    """Checks the texts of one bundle. `reader` may serve several engines."""

    def __init__(self, points: Mapping[str, Point], reader: Reader | None = None) -> None:
        self.points = points
        self._reader = reader or Reader()
        self._known: dict[tuple[str, ...], _Known] = {}
        self._memories = {name: Memory() for name in points}

    def check(self, sources: Sequence[Source], overlays: Sequence[Source] = ()) -> Analysis:
        """The findings of `tiki.check` without its solver. The paths of overlays begin with `overlays/`."""
        base, over = in_order(sources), in_order(overlays)
        report = Report()
        misplaced(base, over, report)
        documents = [self._reader.read(source) for source in (*base, *over)]
        for document in documents:
            report.take(document.diagnostics)
        placed = place(documents[: len(base)], documents[len(base) :], self.points, report)
        checked = [(group, self._check(group)) for group in groups(placed, self.points)]
        for _, one in checked:
            report.take(one.found)
        clean = sound(placed, report.found)
        self._known = {group.names: self._doubt(group, one, clean & set(group.names)) for group, one in checked}
        for known in self._known.values():
            report.take(known.doubts)
        by_point = {name: one for _, one in checked for name in one.merged}
        by_path = {document.source.path: document for document in documents}
        return Analysis(self.points, by_path, tuple(placed), by_point, tuple(report.in_order()))

    def _check(self, group: Group) -> Checked:
        known = self._known.get(group.names)
        if known is not None and known.holds(group, known.checked.found):
            return known.checked
        return check_group(group, self._memories)

    def _doubt(self, group: Group, checked: Checked, clean: frozenset[str]) -> _Known:
        known = self._known.get(group.names)
        if known is not None and known.checked is checked and known.clean == clean and known.holds(group, known.doubts):
            return known
        return _Known(group, checked, clean, tuple(quick(group, checked, clean)), _lines(group))


def _says(group: Group) -> list[tuple[bool, tuple[str, ...], list[int]]]:
    """The parts of a group's specs by their identity: the reader keeps what did not change."""
    return [(one.overlay, one.points, [id(part) for part in _parts(one.spec)]) for one in group.placed]


def _lines(group: Group) -> tuple[int, ...]:
    return tuple(part.place.line for one in group.placed for part in _parts(one.spec))


def _parts(spec: Spec) -> tuple[Heading | Statement | Examples, ...]:
    return (spec.heading, *spec.statements, *spec.examples)
