"""What a fact may be: its range, what is refused from outside, what the JSON Schema says of it."""

import json
import math
import re

import lab
import pytest
from test_conformance import table

import tiki
from tiki import Fact, Type
from tiki.plan import Plan


@pytest.mark.parametrize(("declared", "value", "memory"), table("outside"))
def test_a_value_from_outside_is_this_in_memory_or_refused(declared: str, value: str, memory: str) -> None:
    fact = _fact(declared)
    data = {"it": json.loads(value.strip("`"))}
    program = tiki.Program(plan_about(fact))
    _, refused, why = memory.partition("refused: ")
    if refused:
        with pytest.raises(ValueError, match=re.escape(f"it: {why}")):
            program.facts_from(data)
    else:
        assert repr(program.facts_from(data)) == f"({memory},)"


@pytest.mark.parametrize("declared", ["percent from 0 to 100", "count", "count from -inf", "number"])
def test_the_json_schema_of_facts_shows_their_range(declared: str) -> None:
    fact = _fact(declared)
    schema = plan_about(fact).point.facts_schema()["properties"]["it"]
    bounds = {"minimum": fact.range[0], "maximum": fact.range[1]}
    assert {name: schema[name] for name in bounds if name in schema} == {
        name: bound for name, bound in bounds.items() if math.isfinite(bound)
    }


@pytest.mark.parametrize(
    ("kind", "minimum", "maximum", "why"),
    [(Type.COUNT, None, -1, "above the maximum"), (Type.PERCENT, 5, 3, "above"), (Type.NAME, 0, None, "no minimum")],
)
def test_a_range_that_nothing_lies_in_is_no_declaration(
    kind: Type, minimum: float | None, maximum: float | None, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        Fact(name="it", type=kind, doc="It.", minimum=minimum, maximum=maximum)


def _fact(declared: str) -> Fact:
    kind, _, bounds = declared.partition(" from ")
    low, _, high = bounds.partition(" to ")
    return Fact(
        name="it",
        type=Type(kind),
        doc="It.",
        minimum=float(low) if low else None,
        maximum=float(high) if high else None,
    )


def plan_about(fact: Fact) -> Plan:
    """A point with one fact."""
    point = lab.POINT.model_copy(update={"facts": (fact,), "settings": (), "attributes": ()})
    text = "## LAB Pressure Spec\n- otherwise: hold\n- fallback: hold\n"
    return tiki.build([tiki.Source("lab.tiki", text)], {point.name: point}).programs[point.name].plan
