"""The check of a bundle, made again and again while somebody types.

It is `tiki.check` in the same steps (read, place, check by groups), each remembered: a bullet by its text, a group of
points by its specs. A keystroke costs the lines of one file and the clauses of one group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import is_

from tiki.bundle import in_order, misplaced
from tiki.diagnostics import Diagnostic, Report, Source
from tiki.document import Document, Spec
from tiki.editor.moving import moved
from tiki.findings import quick, sound
from tiki.groups import Checked, Group, check_group, groups
from tiki.merge import Merged, Placed, place
from tiki.parse import Parsed, parse_statement
from tiki.read import read
from tiki.schema import Point


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
    """Reads files. A file that did not change is not read again, a bullet that only moved not parsed again.

    What a file had when it was last read is kept, and nothing older: memory grows with the texts alone.
    """

    def __init__(self) -> None:
        self._documents: dict[str, Document] = {}
        self._bullets: dict[str, dict[tuple[int, str], Parsed]] = {}

    def read(self, source: Source) -> Document:
        before = self._documents.get(source.path)
        if before is not None and before.source.text == source.text:
            return before
        known = self._bullets.get(source.path, {})
        by_text = {text: (line, parsed) for (line, text), parsed in known.items()}
        now: dict[tuple[int, str], Parsed] = {}

        def parse(text: str, path: str, line: int, lines: tuple[str, ...]) -> Parsed:
            written = "\n".join(lines)  # `text` has its comments blanked, and an excerpt shows them
            parsed = known.get((line, written))
            if parsed is None and written in by_text:
                old_line, old = by_text[written]
                parsed = moved(old, line - old_line)
            elif parsed is None:
                parsed = parse_statement(text, path, line, lines)
            now[line, written] = parsed
            return parsed

        document = read(source, parse)
        self._documents[source.path], self._bullets[source.path] = document, now
        return document

    def forget(self, paths: set[str]) -> None:
        """Drops what is known of files other than these."""
        for path in self._documents.keys() - paths:
            del self._documents[path], self._bullets[path]


@dataclass(frozen=True, slots=True)
class _Known:
    """What was made of a group. clean: those of its points that no error was about; doubts: about these."""

    group: Group
    checked: Checked
    clean: frozenset[str]
    doubts: tuple[Diagnostic, ...]


class Engine:
    """Checks the texts of one bundle. `reader` may serve several engines."""

    def __init__(self, points: Mapping[str, Point], reader: Reader | None = None) -> None:
        self.points = points
        self._reader = reader or Reader()
        self._known: dict[tuple[str, ...], _Known] = {}

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
        return known.checked if known is not None and _same(known.group, group) else check_group(group)

    def _doubt(self, group: Group, checked: Checked, clean: frozenset[str]) -> _Known:
        known = self._known.get(group.names)
        if known is not None and known.checked is checked and known.clean == clean:
            return known
        return _Known(group, checked, clean, tuple(quick(group, checked, clean)))


def _same(before: Group, now: Group) -> bool:
    return len(before.placed) == len(now.placed) and all(
        old.overlay == new.overlay and old.points == new.points and _same_spec(old.spec, new.spec)
        for old, new in zip(before.placed, now.placed, strict=True)
    )


def _same_spec(before: Spec, now: Spec) -> bool:
    """Whether two specs are the same, their places included."""
    return (
        before.heading.place == now.heading.place
        and len(before.statements) == len(now.statements)
        and all(map(is_, before.statements, now.statements))
        and [row.place for table in before.examples for row in (table.header, *table.rows)]
        == [row.place for table in now.examples for row in (table.header, *table.rows)]
    )
