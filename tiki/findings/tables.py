"""Truth tables of single conditions. Where facts are compared with values alone, only the stretches between those
values matter, and a condition has a small table: the set of inputs for which it is true, and that for which it is
false."""

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations, islice, pairwise
from math import ceil, floor, isfinite, prod

from tiki.kleene import compared
from tiki.plan import AttributeTerm, Constant, Every, FactTerm, Formula, Negation, Term, Test, tests
from tiki.schema import Attribute, Fact, Type
from tiki.values import ABSENT, UNKNOWN, Known, Truth

_LARGEST = 2**16
"""Rows of a table. Beyond it a solver is faster."""
_WIDEST = 2**10
"""Stretches of one fact."""

Rows = int
"""A set of rows, as bits."""


class Table:
    """The truth of some comparisons for every input that tells them apart. sure: the rows without an unknown fact."""

    def __init__(self, values: Mapping[str, tuple[Known, ...]], about: Mapping[str, Collection[Test]]) -> None:
        size = prod(len(choices) for choices in values.values())
        self.all: Rows = (1 << size) - 1
        self.sure: Rows = self.all
        self._tests: dict[int, tuple[Rows, Rows]] = {}
        stride = 1
        for name, choices in values.items():
            period = stride * len(choices)
            repeated = self.all // ((1 << period) - 1)
            rows = [(((1 << stride) - 1) << (number * stride)) * repeated for number in range(len(choices))]
            for test in about[name]:
                truths = [_truth(test, value) for value in choices]
                true = sum(mine for mine, truth in zip(rows, truths, strict=True) if truth is True)
                false = sum(mine for mine, truth in zip(rows, truths, strict=True) if truth is False)
                self._tests[id(test)] = (true, false)
            self.sure &= ~sum(mine for mine, value in zip(rows, choices, strict=True) if value is UNKNOWN)
            stride = period

    def rows(self, formula: Formula) -> tuple[Rows, Rows]:
        """Where a formula of these comparisons is true, and where it is false."""
        match formula:
            case Test():
                return self._tests[id(formula)]
            case Negation(item):
                true, false = self.rows(item)
                return false, true
        parts = [self.rows(item) for item in formula.items]
        true, false = parts[0]
        for other in parts[1:]:
            if isinstance(formula, Every):
                true, false = true & other[0], false | other[1]
            else:
                true, false = true | other[0], false & other[1]
        return true, false

    def can_be_true(self, formula: Formula) -> bool:
        return self.rows(formula)[0] != 0

    def always_true(self, formula: Formula) -> bool:
        """Whether it is true wherever no fact is unknown."""
        return self.sure & ~self.rows(formula)[0] == 0


def table_of(condition: Formula, always_known: Collection[str]) -> Table | None:
    """None where facts are compared with one another, or where there are too many of them.
    always_known: facts that are never absent nor unknown."""
    about: dict[str, list[Test]] = {}
    declared: dict[str, Fact | Attribute] = {}
    for test in tests(condition):
        mine = [_declared(term) for term in test.terms if not isinstance(term, Constant)]
        if len(mine) != 1:
            return None
        declared[mine[0].name] = mine[0]
        about.setdefault(mine[0].name, []).append(test)
    values: dict[str, tuple[Known, ...]] = {}
    for name, one in declared.items():
        against = [value for test in about[name] for value in _constants(test)]
        found = tuple(dict.fromkeys(islice(_values(one, against), _WIDEST)))
        values[name] = found if name in always_known else (*found, ABSENT, UNKNOWN)
        if len(found) == _WIDEST or prod(map(len, values.values())) > _LARGEST:
            return None
    return Table(values, about)


def _truth(test: Test, value: Known) -> Truth:
    """Of a comparison of one fact or attribute, which has this value."""
    return compared(test, [term.value if isinstance(term, Constant) else value for term in test.terms])


def _values(declared: Fact | Attribute, against: Collection[Known]) -> Iterator[Known]:
    """A value of every stretch, where a fact is compared with these."""
    names = [value for value in dict.fromkeys(against) if isinstance(value, str)]
    match declared.type:
        case Type.FLAG:
            yield from (True, False)
        case Type.NAME:
            yield from declared.values or (*names, "_".join(("none_of", *names)))
        case Type.LIST:
            mine = [name for name in names if not declared.values or name in declared.values]
            yield from (some for length in range(len(mine) + 1) for some in combinations(mine, length))
        case _:
            low, high = declared.range
            numbers = {value for value in against if isinstance(value, int | float)}
            cuts = sorted({*numbers, *(end for end in (low, high) if isfinite(end))}) or [0.0]
            whole = declared.type in (Type.COUNT, Type.BYTES)
            yield from (one for one in (_whole(cuts) if whole else _around(cuts)) if low <= one <= high)


def _whole(cuts: list[float]) -> Iterator[int]:
    for cut in cuts:
        yield from dict.fromkeys((ceil(cut) - 1, floor(cut), ceil(cut), floor(cut) + 1))


def _around(cuts: list[float]) -> Iterator[float]:
    yield cuts[0] - abs(cuts[0]) - 1.0
    for cut, following in pairwise(cuts):
        yield from (float(cut), (cut + following) / 2)
    yield from (float(cuts[-1]), cuts[-1] + abs(cuts[-1]) + 1.0)


def _constants(test: Test) -> Iterator[Known]:
    for term in test.terms:
        if isinstance(term, Constant):
            yield from term.value if isinstance(term.value, tuple) else (term.value,)


def _declared(term: Term) -> Fact | Attribute:
    assert isinstance(term, FactTerm | AttributeTerm)
    return term.fact if isinstance(term, FactTerm) else term.attribute
