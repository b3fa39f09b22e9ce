"""The syntax tree: what a person wrote, before any name in it has a meaning.
Places do not count when trees are compared."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal as OneOf

from tiki.diagnostics import Place
from tiki.schema import Type
from tiki.values import Value

Operator = OneOf["==", "!=", "<", "<=", ">", ">=", "in"]


@dataclass(frozen=True, slots=True)
class Name:
    """A bare name: a fact, a setting, an attribute or the value of a name, told apart by the check."""

    text: str
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Literal:
    """A value with its unit, as written."""

    text: str
    type: Type
    value: Value
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Listing:
    items: tuple["Name | Literal", ...]
    place: Place = field(compare=False, repr=False)


Operand = Name | Literal | Listing


@dataclass(frozen=True, slots=True)
class Comparison:
    left: Operand
    operator: Operator
    right: Operand
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class IsAbsent:
    operand: Operand
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Holds:
    """A flag by itself."""

    operand: Operand
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Not:
    item: "Condition"


@dataclass(frozen=True, slots=True)
class And:
    items: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    items: tuple["Condition", ...]


Condition = Comparison | IsAbsent | Holds | Not | And | Or


@dataclass(frozen=True, slots=True)
class Call:
    action: Name
    args: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Consult:
    actions: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """`when CONDITION for DURATION, clear at VALUE, cooldown DURATION: CHOICE`."""

    name: Name | None
    condition: Condition
    duration: Operand | None
    clear: Operand | None
    cooldown: Operand | None
    choice: Call | Consult
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Guard:
    """`never ACTION when CONDITION`."""

    name: Name | None
    action: Name
    condition: Condition
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Otherwise:
    name: Name | None
    choice: Call | Consult
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Assignment:
    """`name: value`; several values only where a list without brackets is meant (`decides`)."""

    name: Name
    values: tuple[Operand, ...]
    place: Place = field(compare=False, repr=False)


Clause = Rule | Guard | Otherwise
Statement = Assignment | Clause


def comparisons(condition: Condition) -> Iterator[Comparison | IsAbsent | Holds]:
    """The comparisons of a condition from left to right."""
    match condition:
        case And(items) | Or(items):
            for item in items:
                yield from comparisons(item)
        case Not(item):
            yield from comparisons(item)
        case _:
            yield condition


def compared(condition: Condition) -> Iterator[Operand]:
    """What the comparisons of a condition compare, from left to right."""
    for test in comparisons(condition):
        if isinstance(test, Comparison):
            yield test.left
            yield test.right
        else:
            yield test.operand


def names_of(operand: Operand) -> Iterator[str]:
    """The bare names in an operand."""
    if isinstance(operand, Name):
        yield operand.text
    elif isinstance(operand, Listing):
        yield from (item.text for item in operand.items if isinstance(item, Name))
