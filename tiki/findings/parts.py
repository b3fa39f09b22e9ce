"""Parts of a condition, by the positions of their comparisons: what is left of a condition without one, and the text
that takes it away."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tiki.plan import Any_, Every, Formula, Negation, tests


@dataclass(frozen=True, slots=True)
class Part:
    """One of several things that are joined by `joiner`. first, last: its comparisons, counted in the condition."""

    formula: Formula
    joiner: str
    first: int
    last: int
    without: Formula
    """The whole condition when it is left out."""


def parts(condition: Formula) -> Iterator[Part]:
    """Every part that can be left out, larger ones first and, of neighbours, the last first."""
    numbers = {id(test): number for number, test in enumerate(tests(condition))}
    level: list[tuple[Formula, tuple[tuple[Formula, int], ...]]] = [(condition, ())]
    while level:
        below: list[tuple[Formula, tuple[tuple[Formula, int], ...]]] = []
        for node, above in level:
            match node:
                case Negation(item):
                    below.append((item, (*above, (node, 0))))
                case Every(items) | Any_(items):
                    for index in reversed(range(len(items))):
                        mine = tests(items[index])
                        rest = _join(node, (*items[:index], *items[index + 1 :]))
                        joiner = "and" if isinstance(node, Every) else "or"
                        first, last = numbers[id(mine[0])], numbers[id(mine[-1])]
                        yield Part(items[index], joiner, first, last, _put(above, rest))
                        below.append((items[index], (*above, (node, index))))
        level = below


def _join(node: Every | Any_, items: tuple[Formula, ...]) -> Formula:
    return items[0] if len(items) == 1 else Every(items) if isinstance(node, Every) else Any_(items)


def _put(above: Sequence[tuple[Formula, int]], formula: Formula) -> Formula:
    """The whole condition with another formula in the place that a path leads to."""
    for node, index in reversed(above):
        if isinstance(node, Negation):
            formula = Negation(formula)
        elif isinstance(node, Every | Any_):
            formula = _join(node, (*node.items[:index], formula, *node.items[index + 1 :]))
    return formula
