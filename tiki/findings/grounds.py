"""What about its facts makes a condition never true: ranges, whole numbers, declared values."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import Literal

from tiki.findings.tables import table_of
from tiki.plan import Any_, AttributeTerm, Constant, Every, FactTerm, Formula, Negation, Term, Test, tests
from tiki.schema import Attribute, Fact, Type
from tiki.values import show

_WHOLE = (Type.COUNT, Type.BYTES)


@dataclass(frozen=True, slots=True)
class _Ground:
    declared: Fact | Attribute
    kind: Literal["low", "high", "whole", "values"]

    def __str__(self) -> str:
        one = self.declared
        low, high = one.range
        match self.kind:
            case "low":
                return f"`{one.name}` is at least {show(one.type, low)}"
            case "high":
                return f"`{one.name}` is at most {show(one.type, high)}"
            case "whole":
                return f"`{one.name}` is a whole number"
        return f"`{one.name}` is one of {', '.join(one.values)}"


def grounds(condition: Formula) -> list[str]:
    """Why no facts make a condition true, as few grounds as prove it together; none where it needs none, and where it
    cannot be told: where unlike facts are compared with one another, or too many."""
    if isinstance(condition, Test) and condition.left == condition.right:
        return [f"it compares {_name(condition.left)} with itself"]
    kept = list(_all(condition))
    if not _suffice(kept, condition):
        return []
    for ground in tuple(kept):
        fewer = [one for one in kept if one is not ground]
        if _suffice(fewer, condition):
            kept = fewer
    return [str(ground) for ground in kept]


def _name(term: Term) -> str:
    match term:
        case FactTerm():
            return f"`{term.fact.name}`"
        case AttributeTerm():
            return f"`{term.attribute.name}`"
    return "a value"


def _all(condition: Formula) -> Iterator[_Ground]:
    terms = [term for test in tests(condition) for term in test.terms if isinstance(term, FactTerm | AttributeTerm)]
    named = {one.name: one for term in terms for one in [_declared(term)]}
    for one in named.values():
        low, high = one.range
        if isfinite(low):
            yield _Ground(one, "low")
        if isfinite(high):
            yield _Ground(one, "high")
        if one.type in _WHOLE:
            yield _Ground(one, "whole")
        if one.values:
            yield _Ground(one, "values")


def _suffice(given: Collection[_Ground], condition: Formula) -> bool:
    """Whether nothing makes a condition true where no more than this is known of its facts."""
    known = {(ground.declared.name, ground.kind) for ground in given}
    loose = _loosened(condition, known)
    table = table_of(loose, ())
    return table is not None and not table.can_be_true(loose)


def _loosened(formula: Formula, known: Collection[tuple[str, str]]) -> Formula:
    match formula:
        case Negation(item):
            return Negation(_loosened(item, known))
        case Every(items):
            return Every(tuple(_loosened(item, known) for item in items))
        case Any_(items):
            return Any_(tuple(_loosened(item, known) for item in items))
    right = None if formula.right is None else _loose(formula.right, known)
    return replace(formula, left=_loose(formula.left, known), right=right)


def _loose(term: Term, known: Collection[tuple[str, str]]) -> Term:
    if isinstance(term, Constant):
        return term
    one = _declared(term)
    low, high = one.range
    like = {
        "minimum": low if (one.name, "low") in known else -inf,
        "maximum": high if (one.name, "high") in known else inf,
        "type": Type.NUMBER if one.type in _WHOLE and (one.name, "whole") not in known else one.type,
        "values": one.values if (one.name, "values") in known else (),
    }
    if isinstance(term, FactTerm):
        return replace(term, fact=term.fact.model_copy(update=like))
    return replace(term, attribute=term.attribute.model_copy(update=like))


def _declared(term: FactTerm | AttributeTerm) -> Fact | Attribute:
    return term.fact if isinstance(term, FactTerm) else term.attribute
