"""What analysis proves, refutes and leaves open, question by question."""

import lab
import pytest

import tiki
from tiki import Fact, Type


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (-1, "queue: -1 is below 0, the least that it can be"),
        ("-3", "queue: -3 is below 0, the least that it can be"),
    ],
)
def test_a_count_from_outside_is_never_negative(value: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        lab.program("otherwise: hold").facts_from({"queue": value})


@pytest.mark.parametrize("value", [101, 101.5, -0.5, "101%", float("nan"), float("inf"), 2**70])
def test_what_lies_outside_the_range_of_a_fact_is_refused_and_says_so(value: object) -> None:
    share = Fact(name="share", type=Type.PERCENT, doc="Of all.", minimum=0, maximum=100)
    with pytest.raises(ValueError, match="share: "):
        tiki.Program(_about(share)).facts_from({"share": value})


@pytest.mark.parametrize(
    ("value", "known"), [(0, 0.0), (100, 100.0), (100.0, 100.0), ("50%", 50.0), (None, tiki.ABSENT)]
)
def test_the_ends_of_a_range_belong_to_it(value: object, known: tiki.Known) -> None:
    share = Fact(name="share", type=Type.PERCENT, doc="Of all.", minimum=0, maximum=100)
    (found,) = tiki.Program(_about(share)).facts_from({"share": value})
    assert repr(found) == repr(known)


def test_a_declared_minimum_lets_a_count_be_negative() -> None:
    code = Fact(name="code", type=Type.COUNT, doc="-9 for signal 9.", minimum=float("-inf"))
    assert tiki.Program(_about(code)).facts_from({"code": -9}) == (-9,)


def _about(fact: Fact) -> "tiki.plan.Plan":
    point = lab.POINT.model_copy(update={"facts": (fact,), "settings": (), "attributes": ()})
    text = "## LAB Pressure Spec\n- otherwise: hold\n- fallback: hold\n"
    return tiki.build([tiki.Source("lab.tiki", text)], {point.name: point}).programs[point.name].plan
