"""Kleene's logic over a resolved condition, by walking it: for explanations, and to confirm what was proved.
Deciding is compiled (`tiki.compile`)."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tiki.plan import Any_, AttributeTerm, Constant, Every, FactTerm, Formula, Negation, Term, Test
from tiki.values import ABSENT, UNKNOWN, Known, Truth

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda left, right: left in right,
}


def truth_of(formula: Formula, leaf: Callable[[Test], Truth]) -> Truth:
    """The truth of a formula whose comparisons have the truth that `leaf` gives them."""
    match formula:
        case Test():
            return leaf(formula)
        case Negation(item):
            inner = truth_of(item, leaf)
            return None if inner is None else not inner
        case Every(items) | Any_(items):
            settles = isinstance(formula, Any_)
            truth: Truth = not settles
            for item in items:
                one = truth_of(item, leaf)
                if one is settles:
                    return settles
                truth = None if one is None else truth
            return truth


def compared(test: Test, values: Sequence[Any]) -> Truth:
    """The truth of one comparison whose terms have these values: canonical ones, ABSENT or UNKNOWN."""
    if test.operator == "absent":
        return None if values[0] is UNKNOWN else values[0] is ABSENT
    if any(value is ABSENT for value in values):
        return False
    if any(value is UNKNOWN for value in values):
        return None
    return values[0] is True if test.operator == "holds" else bool(_COMPARE[test.operator](*values))


def value_of(term: Term, facts: tuple[Known, ...], attributes: Mapping[str, Any]) -> Any:
    """What a term stands for: a canonical value, ABSENT or UNKNOWN. facts: in the order of the point.
    attributes: of the candidate; None is absent, a missing name unknown."""
    match term:
        case FactTerm():
            return facts[term.index]
        case AttributeTerm():
            value = attributes.get(term.attribute.name, UNKNOWN)
            return ABSENT if value is None else value
        case Constant():
            return term.value
