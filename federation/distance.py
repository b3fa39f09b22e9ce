"""How far apart the facts of two decisions of a point are."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard, TypeVar

from tiki.schema import Fact, Point

_T = TypeVar("_T")


def nearest(
    schema: Point, facts: Mapping[str, Any], others: Sequence[tuple[Mapping[str, Any], _T]]
) -> list[tuple[float, _T]]:
    """The others by their distance from these facts; of equally near ones in the order given."""
    wide = spans(schema, [facts, *(theirs for theirs, _ in others)])
    apart = [(distance(schema, wide, facts, theirs), one) for theirs, one in others]
    return sorted(apart, key=lambda found: found[0])


def distance(schema: Point, wide: Mapping[str, float], one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Gower's distance (Biometrics 27, 1971): the mean over the facts of how far they are apart, each in [0, 1].

    wide: by fact, what counts as wholly apart. A fact that only one of them has is wholly apart.
    """
    if not schema.facts:
        return 0.0
    return sum(_apart(fact, wide, one, other) for fact in schema.facts) / len(schema.facts)


def _apart(fact: Fact, wide: Mapping[str, float], one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    a, b = one.get(fact.name), other.get(fact.name)
    if a == b:
        return float((fact.name in one) != (fact.name in other))
    if _is_number(a) and _is_number(b):
        span = wide.get(fact.name, 0.0)
        return min(1.0, abs(a - b) / span) if span else 1.0
    return 1.0


def spans(schema: Point, facts: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Of each numeric fact its declared range, or where that has no end the range of what was seen."""
    found = {}
    for fact in schema.facts:
        low, high = fact.range
        if math.isinf(low) or math.isinf(high):
            seen = [value for one in facts if _is_number(value := one.get(fact.name))]
            low, high = (min(seen), max(seen)) if seen else (0.0, 0.0)
        found[fact.name] = high - low
    return found


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
