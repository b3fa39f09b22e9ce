"""Conditions that need no proof, because their comparisons do not depend on one another: most that are written."""

from collections.abc import Iterator

from tiki.analysis import truth_of
from tiki.plan import AttributeTerm, Constant, FactTerm, Formula, Term, Test, tests
from tiki.schema import Attribute, Fact, Type
from tiki.values import ABSENT, Known


def independent(condition: Formula) -> bool:
    """Whether each comparison is about one fact, which no other is about, and can be true.

    An absent fact makes a comparison false (`is absent` a known one) and an unknown fact unknown, so the comparisons
    take all three truths whatever the others do. A formula of such comparisons can be true, can be false, and has no
    part that could be left out.
    """
    names = [_declared(term).name for test in tests(condition) for term in test.terms if not isinstance(term, Constant)]
    return len(names) == len(set(names)) and all(_can_be_true(test) for test in tests(condition))


def _can_be_true(test: Test) -> bool:
    about = [_declared(term) for term in test.terms if not isinstance(term, Constant)]
    if len(about) != 1:
        return False
    name = about[0].name
    return any(truth_of(test, {name: value}, {name: value}) is True for value in (ABSENT, *_values(about[0], test)))


def _values(declared: Fact | Attribute, test: Test) -> Iterator[Known]:
    """Some values of a fact, those around what it is compared with among them."""
    if declared.type is Type.FLAG:
        yield from (True, False)
    low, high = declared.range
    for value in (value for term in test.terms if isinstance(term, Constant) for value in _each(term)):
        if isinstance(value, str):
            names = declared.values or (value, f"not_{value}")
            yield from ((name,) for name in names) if declared.type is Type.LIST else names
        elif isinstance(value, int | float):
            middle = int(value) if declared.type in (Type.COUNT, Type.BYTES) else value
            yield from (one for one in (middle - 1, middle, middle + 1, low, high) if low <= one <= high)


def _each(term: Constant) -> tuple[Known, ...]:
    return term.value if isinstance(term.value, tuple) else (term.value,)


def _declared(term: Term) -> Fact | Attribute:
    assert isinstance(term, FactTerm | AttributeTerm)
    return term.fact if isinstance(term, FactTerm) else term.attribute
