"""A statement on another line: what an editor keeps of a bullet that only moved."""

from dataclasses import replace

from tiki.diagnostics import Diagnostic, Place, Span
from tiki.parse import Parsed
from tiki.syntax import (
    And,
    Assignment,
    Call,
    Clause,
    Comparison,
    Condition,
    Consult,
    Guard,
    Holds,
    IsAbsent,
    Listing,
    Literal,
    Name,
    Not,
    Operand,
    Or,
    Otherwise,
    Rule,
    Statement,
)


def moved(parsed: Parsed, by: int) -> Parsed:
    """The same, `by` lines further down its file."""
    move = _Move(by)
    statement = None if parsed.statement is None else move.statement(parsed.statement)
    return Parsed(statement, tuple(move.diagnostic(found) for found in parsed.found))


class _Move:
    def __init__(self, by: int) -> None:
        self.by = by

    def diagnostic(self, found: Diagnostic) -> Diagnostic:
        return replace(found, line=found.line + self.by, end_line=found.end_line + self.by)

    def place(self, place: Place) -> Place:
        span = place.span
        there = Span(span.line + self.by, span.column, span.end_line + self.by, span.end_column)
        return Place(place.path, there, place.excerpt)

    def name(self, name: Name) -> Name:
        return Name(name.text, self.place(name.place))

    def own(self, name: Name | None) -> Name | None:
        return None if name is None else self.name(name)

    def operand(self, operand: Operand) -> Operand:
        match operand:
            case Name() | Literal():
                return self.leaf(operand)
            case Listing(items, place):
                return Listing(tuple(map(self.leaf, items)), self.place(place))

    def leaf(self, operand: Name | Literal) -> Name | Literal:
        if isinstance(operand, Name):
            return self.name(operand)
        return Literal(operand.text, operand.type, operand.value, self.place(operand.place))

    def optional(self, operand: Operand | None) -> Operand | None:
        return None if operand is None else self.operand(operand)

    def statement(self, statement: Statement) -> Statement:
        if isinstance(statement, Assignment):
            values = tuple(map(self.operand, statement.values))
            return Assignment(self.name(statement.name), values, self.place(statement.place))
        return self.clause(statement)

    def clause(self, clause: Clause) -> Clause:
        name, place = self.own(clause.name), self.place(clause.place)
        match clause:
            case Rule():
                duration, clear, cooldown = map(self.optional, (clause.duration, clause.clear, clause.cooldown))
                choice = self.choice(clause.choice)
                return Rule(name, self.condition(clause.condition), duration, clear, cooldown, choice, place)
            case Guard():
                return Guard(name, self.name(clause.action), self.condition(clause.condition), place)
            case Otherwise():
                return Otherwise(name, self.choice(clause.choice), place)

    def choice(self, choice: Call | Consult) -> Call | Consult:
        if isinstance(choice, Consult):
            return Consult(tuple(map(self.name, choice.actions)))
        return Call(self.name(choice.action), tuple(map(self.operand, choice.args)))

    def condition(self, condition: Condition) -> Condition:
        match condition:
            case Comparison(left, operator, right, place):
                return Comparison(self.operand(left), operator, self.operand(right), self.place(place))
            case IsAbsent(operand, place):
                return IsAbsent(self.operand(operand), self.place(place))
            case Holds(operand, place):
                return Holds(self.operand(operand), self.place(place))
            case Not(item):
                return Not(self.condition(item))
            case And(items):
                return And(tuple(map(self.condition, items)))
            case Or(items):
                return Or(tuple(map(self.condition, items)))
