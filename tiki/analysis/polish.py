"""Makes an example readable: leaves out what does not matter and prefers round values."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from math import floor, isfinite, log10

from tiki.analysis.inputs import Input
from tiki.plan import AttributeTerm, Constant, FactTerm, Plan, Term, tests
from tiki.schema import Attribute, Fact, Type
from tiki.values import UNKNOWN, Known, Mark

Thresholds = Mapping[str, tuple[Fact | Attribute, tuple[Fraction, ...]]]
"""By name of a fact or attribute: its declaration and all that it is compared with, in order."""

_UNIT = {Type.RATE: Fraction(1, 60)}


def thresholds(plans: tuple[Plan, ...]) -> Thresholds:
    """What every fact and attribute of the plans is compared with, the ends of its range among it."""
    declared: dict[str, Fact | Attribute] = {}
    limits: dict[str, set[Fraction]] = {}
    for plan in plans:
        formulas = [rule.condition for rule in plan.rules] + [guard.condition for guard in plan.guards]
        formulas += [window.stay for window in plan.windows if window.stay is not None]
        for test in (test for formula in formulas for test in tests(formula)):
            against = [number for term in test.terms for number in _numbers(term)]
            for term in test.terms:
                if isinstance(term, FactTerm | AttributeTerm):
                    mine = term.fact if isinstance(term, FactTerm) else term.attribute
                    declared[mine.name] = mine
                    ends = {Fraction(end) for end in mine.range if isfinite(end)}
                    limits.setdefault(mine.name, ends).update(against)
    return {name: (mine, tuple(sorted(limits[name]))) for name, mine in declared.items()}


def _numbers(term: Term) -> Iterator[Fraction]:
    if isinstance(term, Constant):
        for value in term.value if isinstance(term.value, tuple) else (term.value,):
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield Fraction(value)


def polished(given: Input, confirmed: Callable[[Input], bool], limits: Thresholds) -> Input:
    """An input that is confirmed as the given one is, with fewer facts and rounder values."""
    as_now = replace(given, held={})
    given = as_now if confirmed(as_now) else given
    for action, name in [("", name) for name in sorted(given.facts)] + [
        (action, name) for action, mine in sorted(given.attributes.items()) for name in sorted(mine)
    ]:
        value = (given.attributes[action] if action else given.facts)[name]
        for other in (UNKNOWN, *_rounder(value, name, limits)):
            candidate = _with(given, action, name, other)
            if confirmed(candidate):
                given = candidate
                break
    return given


def _with(given: Input, action: str, name: str, value: Known) -> Input:
    before = given.attributes[action] if action else given.facts
    after = {key: value if key == name else old for key, old in before.items() if key != name or value is not UNKNOWN}
    if not action:
        return replace(given, facts=after)
    rest = {key: mine for key, mine in given.attributes.items() if key != action}
    return replace(given, attributes=rest | ({action: after} if after else {}))


def _rounder(value: Known, name: str, limits: Thresholds) -> Iterator[Known]:
    """Values between the same thresholds, the roundest first; of a list the shorter ones."""
    if isinstance(value, tuple) and value:
        yield ()
        yield from ((item,) for item in value)
    if isinstance(value, Mark | bool | str | tuple) or name not in limits:
        return
    declared, around = limits[name]
    unit = _UNIT.get(declared.type, Fraction(1))
    exact = Fraction(value)
    if exact in around:
        return
    low = max((limit for limit in around if limit < exact), default=None)
    high = min((limit for limit in around if limit > exact), default=None)
    for round_value in _round(low and low / unit if low is not None else None, high / unit if high else high):
        number = round_value * unit
        whole = declared.type in (Type.COUNT, Type.BYTES)
        if not whole or number.denominator == 1:
            yield int(number) if whole else float(number)


def _round(low: Fraction | None, high: Fraction | None) -> Iterator[Fraction]:
    """Numbers strictly between two, those with few digits first."""
    if low is None and high is None:
        yield Fraction(0)
        return
    if low is None or high is None:
        end = low if low is not None else high
        assert end is not None
        step = Fraction(10) ** (floor(log10(abs(end))) - 1) if end else Fraction(1)
        for size in (max(step, Fraction(1)), step):
            yield end + size if low is not None else end - size
        return
    middle = (low + high) / 2
    power = floor(log10(high - low)) + 1
    for digits in range(12):
        step = Fraction(10) ** (power - digits)
        for near in (floor(middle / step) * step, (floor(middle / step) + 1) * step):
            if low < near < high:
                yield near
                return
