"""The compiled rules against an evaluator so small that it can be read in one look."""

import lab
from hypothesis import given, settings
from hypothesis import strategies as st

from tiki import ABSENT, UNKNOWN, Known, Program

PERCENTS = ("memory", "gpu")
THRESHOLDS = (10, 50, 90)

# A condition is ("<", fact, threshold), ("same", fact, fact), ("in", fact), ("absent", fact), ("flag",), or one of
# ("not", c), ("and", c, c) and ("or", c, c).
_leaves = st.one_of(
    st.tuples(
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.sampled_from(PERCENTS), st.sampled_from(THRESHOLDS)
    ),
    st.tuples(st.just("same"), st.sampled_from(PERCENTS), st.sampled_from(PERCENTS)),
    st.tuples(st.just("in"), st.sampled_from(PERCENTS)),
    st.tuples(st.just("absent"), st.sampled_from(PERCENTS)),
    st.tuples(st.just("flag")),
)
conditions = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.just("and"), inner, inner),
        st.tuples(st.just("or"), inner, inner),
    ),
    max_leaves=8,
)
percents = st.sampled_from([ABSENT, UNKNOWN, 5.0, 10.0, 50.0, 70.0, 95.0])
flags = st.sampled_from([ABSENT, UNKNOWN, True, False])


def written(condition: tuple) -> str:
    match condition:
        case ("not", item):
            return f"not ({written(item)})"
        case ("and" | "or" as word, left, right):
            return f"({written(left)}) {word} ({written(right)})"
        case ("same", left, right):
            return f"{left} == {right}"
        case ("in", fact):
            return f"{fact} in [10%, 50%]"
        case ("absent", fact):
            return f"{fact} is absent"
        case ("flag",):
            return "busy"
        case (sign, fact, limit):
            return f"{fact} {sign} {limit}%"
    raise AssertionError(condition)


def truth(condition: tuple, known: dict[str, Known]) -> bool | None:
    match condition:
        case ("not", item):
            inner = truth(item, known)
            return None if inner is None else not inner
        case ("and", left, right):
            both = (truth(left, known), truth(right, known))
            return False if False in both else None if None in both else True
        case ("or", left, right):
            both = (truth(left, known), truth(right, known))
            return True if True in both else None if None in both else False
        case ("absent", fact):
            return None if known[fact] is UNKNOWN else known[fact] is ABSENT
        case ("flag",):
            return compared(known["busy"], True, lambda a, b: a == b)
        case ("same", left, right):
            return compared(known[left], known[right], lambda a, b: a == b)
        case ("in", fact):
            return compared(known[fact], (10.0, 50.0), lambda a, b: a in b)
    sign, fact, limit = condition
    compare = {
        "<": float.__lt__,
        "<=": float.__le__,
        ">": float.__gt__,
        ">=": float.__ge__,
        "==": float.__eq__,
        "!=": float.__ne__,
    }
    return compared(known[fact], float(limit), compare[sign])


def compared(left: object, right: object, compare) -> bool | None:
    if left is ABSENT or right is ABSENT:
        return False
    return None if left is UNKNOWN or right is UNKNOWN else compare(left, right)


def decided(rules: list[tuple], known: dict[str, Known]) -> str:
    for number, rule in enumerate(rules, 1):
        match truth(rule, known):
            case True:
                return f"rule {number}"
            case None:
                return "unknown"
    return "otherwise"


def compiled(rules: list[tuple]) -> Program:
    clauses = [f"when {written(rule)}: shed_load" for rule in rules]
    guards = [f"never migrate when {written(rule)}" for rule in rules]
    return lab.program("fallback: request_operator", *clauses, *guards, "otherwise: hold")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(conditions, min_size=1, max_size=3),
    st.lists(st.tuples(percents, percents, flags), min_size=1, max_size=12),
)
def test_compiled_rules_decide_like_the_reference(rules: list[tuple], cases: list[tuple]) -> None:
    program = compiled(rules)
    for memory, gpu, busy in cases:
        known = {"memory": memory, "gpu": gpu, "busy": busy}
        facts = tuple(known.get(fact.name, UNKNOWN) for fact in program.point.facts)
        verdict = program.decide(facts, ())
        trace = program.explain(facts, ())
        assert (verdict.reason if verdict.kind == "fallback" else verdict.clause) == decided(rules, known)
        assert trace.verdict is verdict
        for tried, rule in zip(trace.tried, rules, strict=False):
            assert tried.truth == truth(rule, known)
        forbidding = [f"guard {number}" for number, rule in enumerate(rules, 1) if truth(rule, known) is not False]
        assert program.forbids(facts, (), "migrate", {}, {}) == (forbidding[0] if forbidding else None)
