"""Parts of a condition: where they are, how they read, and what is left of the condition without one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tiki.plan import Any_, Every, Formula, Negation, Test, tests

Extent = tuple[int, int]
"""The positions of a part's first and last comparison among those of the condition."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of several things that are joined by `joiner`. beside: the others."""

    formula: Formula
    joiner: Literal["and", "or"]
    beside: tuple[Formula, ...]


def parts(condition: Formula) -> Iterator[Part]:
    """Every part that can be left out, larger ones first and, of neighbours, the last first."""
    level = [condition]
    while level:
        below: list[Formula] = []
        for node in level:
            match node:
                case Negation(item):
                    below.append(item)
                case Every(items) | Any_(items):
                    joiner: Literal["and", "or"] = "and" if isinstance(node, Every) else "or"
                    for index in reversed(range(len(items))):
                        yield Part(items[index], joiner, (*items[:index], *items[index + 1 :]))
                        below.append(items[index])
        level = below


def without(condition: Formula, *gone: Formula) -> Formula | None:
    """What is left of a condition without some of its parts; None where nothing is."""
    if any(condition is one for one in gone):
        return None
    match condition:
        case Negation(item):
            inner = without(item, *gone)
            return None if inner is None else Negation(inner)
        case Every(items) | Any_(items):
            left = [rest for item in items if (rest := without(item, *gone)) is not None]
            if len(left) <= 1:
                return left[0] if left else None
            return Every(tuple(left)) if isinstance(condition, Every) else Any_(tuple(left))
    return condition


def span_of(condition: Formula, part: Formula) -> Extent:
    numbers = {id(test): number for number, test in enumerate(tests(condition))}
    mine = tests(part)
    return numbers[id(mine[0])], numbers[id(mine[-1])]


def part_at(condition: Formula, extent: Extent) -> Part:
    return next(part for part in parts(condition) if span_of(condition, part.formula) == extent)


def shown(formula: Formula, inside: str = "") -> str:
    """A formula as it is written. inside: what joins it to others, which tells where it needs parentheses."""
    match formula:
        case Test():
            return formula.text
        case Negation(item):
            return f"not {shown(item, 'not')}"
        case Every(items):
            text = " and ".join(shown(item, "and") for item in items)
            return f"({text})" if inside == "not" else text
        case Any_(items):
            text = " or ".join(shown(item, "or") for item in items)
            return f"({text})" if inside in ("not", "and") else text
