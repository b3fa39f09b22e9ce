"""Every name in a spec, where it stands and what it means there."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tiki.diagnostics import Place, Span
from tiki.document import Cell, Examples
from tiki.editor.engine import Analysis
from tiki.merge import Placed, declared
from tiki.resolve import TIERS
from tiki.schema import Point
from tiki.syntax import (
    Assignment,
    Call,
    Clause,
    Comparison,
    Consult,
    Guard,
    Listing,
    Literal,
    Name,
    Operand,
    Otherwise,
    Rule,
    comparisons,
)


class Kind(StrEnum):
    FACT = "fact"
    SETTING = "setting"
    ATTRIBUTE = "attribute"
    ACTION = "action"
    CLAUSE = "clause"
    POINT = "decision point"
    TIER = "tier"
    VALUE = "value"
    TITLE = "title"


@dataclass(frozen=True, slots=True)
class Mark:
    """A name where it stands. points: those in which it means this. declares: it is set or given here."""

    kind: Kind
    text: str
    place: Place
    points: tuple[str, ...]
    declares: bool = False

    def same(self, other: "Mark") -> bool:
        """Whether two places name one thing."""
        return (self.kind, self.text) == (other.kind, other.text) and not set(self.points).isdisjoint(other.points)


def marks_in(analysis: Analysis, path: str) -> list[Mark]:
    """The names in one file, in order of place."""
    mine = (one for one in analysis.placed if one.spec.heading.place.path == path)
    return [mark for one in mine for mark in _Marks(analysis, one).all()]


def every_mark(analysis: Analysis) -> Iterator[Mark]:
    for placed in analysis.placed:
        yield from _Marks(analysis, placed).all()


def mark_at(analysis: Analysis, path: str, line: int, column: int) -> Mark | None:
    """The name that a place is in or right behind; the smallest, where one stands in another."""
    here = [mark for mark in marks_in(analysis, path) if covers(mark.place.span, line, column)]
    return min(here, key=lambda mark: mark.place.span.end_column - mark.place.span.column, default=None)


def covers(span: Span, line: int, column: int) -> bool:
    return (span.line, span.column) <= (line, column) <= (span.end_line, span.end_column)


def placed_at(analysis: Analysis, path: str, line: int) -> Placed | None:
    """The spec that a line stands in."""
    found = None
    for one in analysis.placed:
        place = one.spec.heading.place
        if place.path == path and place.span.line <= line:
            found = one
    return found


class _Marks:
    """Reads one spec."""

    def __init__(self, analysis: Analysis, placed: Placed) -> None:
        self.spec = placed.spec
        points = [analysis.points[name] for name in placed.points]
        self.names = placed.points
        self.facts = {point.name: {fact.name for fact in point.facts} for point in points}
        self.attributes = {point.name: {one.name for one in point.attributes} for point in points}
        self.actions = {point.name: {action.name for action in point.actions} for point in points}
        self.settings = {point.name: _settings(point, analysis) for point in points}

    def all(self) -> Iterator[Mark]:
        place = self.spec.heading.place
        yield Mark(Kind.TITLE, self.spec.heading.title, place, self.names, True)
        for statement in self.spec.statements:
            if isinstance(statement, Assignment):
                yield from self._assignment(statement)
            else:
                yield from self._clause(statement)
        for table in self.spec.examples:
            yield from self._table(table)

    def _assignment(self, given: Assignment) -> Iterator[Mark]:
        name = given.name.text
        takers = self._known(self.settings, name) or self.names
        yield Mark(Kind.SETTING, name, given.name.place, takers, True)
        for operand in _leaves(given.values):
            if name == "decides":
                yield Mark(Kind.POINT, operand.text, operand.place, (operand.text,))
            elif name in ("fallback", "on_timeout"):
                yield self._action(operand)
            elif isinstance(operand, Name):
                yield Mark(Kind.VALUE, operand.text, operand.place, takers)

    def _clause(self, clause: Clause) -> Iterator[Mark]:
        if clause.name is not None:
            yield Mark(Kind.CLAUSE, clause.name.text, clause.name.place, self.names, True)
        match clause:
            case Rule():
                yield from self._tests(clause)
                timing = (clause.duration, clause.clear, clause.cooldown)
                yield from self._operands(operand for operand in timing if operand is not None)
                yield from self._choice(clause.choice)
            case Guard():
                yield self._action(clause.action)
                yield from self._tests(clause)
            case Otherwise():
                yield from self._choice(clause.choice)

    def _tests(self, clause: Rule | Guard) -> Iterator[Mark]:
        for test in comparisons(clause.condition):
            if isinstance(test, Comparison):
                yield from self._operands((test.left, test.right))
            else:
                yield from self._operands((test.operand,))

    def _choice(self, choice: Call | Consult) -> Iterator[Mark]:
        if isinstance(choice, Consult):
            yield from map(self._action, choice.actions)
        else:
            yield self._action(choice.action)
            yield from self._operands(choice.args)

    def _operands(self, operands: Iterable[Operand]) -> Iterator[Mark]:
        for operand in _leaves(operands):
            if isinstance(operand, Name):
                yield self._name(operand.text, operand.place)

    def _name(self, text: str, place: Place) -> Mark:
        known = ((Kind.FACT, self.facts), (Kind.ATTRIBUTE, self.attributes), (Kind.SETTING, self.settings))
        for kind, names in known:
            if found := self._known(names, text):
                return Mark(kind, text, place, found)
        return Mark(Kind.VALUE, text, place, self.names)

    def _action(self, operand: Name | Literal) -> Mark:
        text = operand.text
        if text in TIERS:
            return Mark(Kind.TIER, text, operand.place, self.names)
        return Mark(Kind.ACTION, text, operand.place, self._known(self.actions, text) or self.names)

    def _table(self, table: Examples) -> Iterator[Mark]:
        for cell in table.header.cells[:-1]:
            yield self._name(cell.text, cell.place)
        for row in table.rows:
            yield from self._decided(row.cells[-1])

    def _decided(self, cell: Cell) -> Iterator[Mark]:
        word = cell.text.partition("(")[0].partition("[")[0].strip()
        span = cell.place.span
        place = Place(
            cell.place.path, Span(span.line, span.column, span.line, span.column + len(word)), cell.place.excerpt
        )
        if word in TIERS or self._known(self.actions, word):
            yield self._action(Name(word, place))

    def _known(self, names: Mapping[str, Iterable[str]], text: str) -> tuple[str, ...]:
        return tuple(point for point in self.names if text in names[point])


def _settings(point: Point, analysis: Analysis) -> set[str]:
    return {"decides", *declared(point), *analysis.merged(point.name).settings}


def _leaves(operands: Iterable[Operand]) -> Iterator[Name | Literal]:
    for operand in operands:
        if isinstance(operand, Listing):
            yield from operand.items
        else:
            yield operand
