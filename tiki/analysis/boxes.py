"""Which rules cannot be true together, told at a glance: for each fact the stretches between thresholds where a
condition may be true, as bits of an integer. Wider than the truth and never narrower, so two conditions whose bits
nowhere meet exclude one another; where they meet, z3 is asked."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from fractions import Fraction

from tiki.analysis.polish import Thresholds
from tiki.plan import Any_, AttributeTerm, Constant, Every, FactTerm, Formula, Negation, Test

Box = Mapping[str, int]
"""By fact: bit 0 is absent; bit 1 below the first threshold, bit 2 at it, bit 3 between it and the second, and so on.
A fact that is missing may be anything."""

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def box(formula: Formula, limits: Thresholds) -> Box:
    """Where a condition may be true."""
    return _boxes(formula, limits)[0]


def meet(one: Box, other: Box) -> bool:
    return all(bits & other[name] for name, bits in one.items() if name in other)


def _boxes(formula: Formula, limits: Thresholds) -> tuple[Box, Box]:
    """Where a formula may be true, and where false."""
    match formula:
        case Test():
            return _test(formula, limits)
        case Negation(item):
            true, false = _boxes(item, limits)
            return false, true
        case Every(items):
            both = [_boxes(item, limits) for item in items]
            return _within([true for true, _ in both]), _around([false for _, false in both])
        case Any_(items):
            both = [_boxes(item, limits) for item in items]
            return _around([true for true, _ in both]), _within([false for _, false in both])


def _within(boxes: Sequence[Box]) -> Box:
    """What all boxes have in common."""
    found: dict[str, int] = {}
    for one in boxes:
        for name, bits in one.items():
            found[name] = found.get(name, -1) & bits
    return found


def _around(boxes: Sequence[Box]) -> Box:
    """The smallest box around them all."""
    names = set(boxes[0]).intersection(*boxes[1:])
    found = dict.fromkeys(sorted(names), 0)
    for one in boxes:
        for name in found:
            found[name] |= one[name]
    return found


def _test(test: Test, limits: Thresholds) -> tuple[Box, Box]:
    term, constant, operator = test.left, test.right, str(test.operator)
    if isinstance(term, Constant) and constant is not None:
        term, constant, operator = constant, term, _MIRRORED.get(operator, operator)
    if not isinstance(term, FactTerm | AttributeTerm):
        return {}, {}
    name = term.fact.name if isinstance(term, FactTerm) else term.attribute.name
    around = limits[name][1]
    known = (1 << (2 * len(around) + 2)) - 2
    if operator == "absent":
        return {name: 1}, {name: known}
    if not isinstance(constant, Constant) or isinstance(constant.value, bool | str | tuple):
        return {name: known}, {}
    at = 1 << (2 * bisect_left(around, Fraction(constant.value)) + 2)
    below = (at - 1) & known
    true = {
        "<": below,
        "<=": below | at,
        ">": known & ~below & ~at,
        ">=": known & ~below,
        "==": at,
        "!=": known & ~at,
    }[operator]
    return {name: true}, {name: (known & ~true) | 1}
