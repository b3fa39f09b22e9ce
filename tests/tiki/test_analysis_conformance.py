"""Analysis means what docs/tiki/semantics.md says: its tables are put to the solver with the facts pinned down, and
whatever a history of samples comes to is possible to it."""

from collections.abc import Iterator, Mapping

import lab
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_conformance import SECOND, TRUTHS, bullets, samples, table

from tiki import ABSENT, UNKNOWN, Known, Memory, Program, Type
from tiki.analysis import Claim, Is, Not, Over, Reaches, Solver, Some, decides, forbids, stops
from tiki.diagnostics import Place, Span
from tiki.plan import AttributeTerm, Constant, FactTerm, Plan
from tiki.plan import Test as Comparison

NAMES = ("gpu_node", "spot", "ready", "draining", "lost", "east", "west")
NOWHERE = Place("", Span(1, 1, 1, 1), "")


def pinned(plan: Plan, facts: tuple[Known, ...]) -> list[Claim]:
    """Claims that only this input meets."""
    terms = (FactTerm(fact, index) for index, fact in enumerate(plan.point.facts))
    return [claim for term, value in zip(terms, facts, strict=True) for claim in pin(term, value)]


def pin(term: FactTerm | AttributeTerm, value: Known, action: str = "") -> Iterator[Claim]:
    absent = Comparison(term, "absent", None, "", NOWHERE)
    if value is ABSENT or value is UNKNOWN:
        yield Is(absent, True if value is ABSENT else None, action)
    elif isinstance(value, tuple):
        yield Is(absent, False, action)
        for name in NAMES:
            inside = Comparison(Constant(Type.NAME, name), "in", term, "", NOWHERE)
            yield Is(inside, name in value, action)
    else:
        yield Is(Comparison(term, "==", Constant(term.type, value), "", NOWHERE), True, action)


@pytest.mark.parametrize(("condition", "facts", "truth"), table("truth"))
def test_a_condition_has_this_truth_and_no_other(condition: str, facts: str, truth: str) -> None:
    program = lab.program(f"when {condition.strip('`')}: shed_load", "fallback: request_operator", "otherwise: hold")
    solver, formula = Solver(program.plan), program.plan.rules[0].condition
    given = pinned(program.plan, lab.facts(facts, program))
    assert {said for said in TRUTHS if solver.possible(Is(formula, TRUTHS[said]), *given)} == {truth}


@pytest.mark.parametrize(("lines", "facts", "said"), table("decides"))
def test_rules_decide_as_they_do(lines: str, facts: str, said: str) -> None:
    program = lab.program(*bullets(lines))
    plan, known = program.plan, lab.facts(facts, program)
    solver, given = Solver(plan), pinned(program.plan, known)
    end = len(plan.rules)
    ways = {rule.name: decides(plan, at) for at, rule in enumerate(plan.rules)} | {"end": Reaches(plan, end)}
    ways["unknown"] = Some(tuple(stops(plan, at) for at in range(end)))
    verdict = program.decide(known, ())
    expected = {"rule": verdict.clause, "unknown": "unknown"}.get(verdict.reason, "end")
    assert lab.said(verdict) == said
    assert {way for way, claim in ways.items() if solver.possible(claim, *given)} == {expected}


@pytest.mark.parametrize(("lines", "candidate", "forbidden"), table("guards"))
def test_guards_forbid_what_they_do(lines: str, candidate: str, forbidden: str) -> None:
    program = lab.program(*bullets(lines), "otherwise: hold", "fallback: hold")
    plan, solver = program.plan, Solver(program.plan)
    action, _, rest = candidate.partition(" ")
    given = [part.strip() for part in rest.split(",") if part]
    attributes = dict(part.split("=") for part in given if "." in part)
    claims = pinned(plan, lab.facts(", ".join(part for part in given if "." not in part), program))
    for index, attribute in enumerate(plan.point.attributes):
        text = attributes.get(attribute.name)
        value = UNKNOWN if text is None else ABSENT if text == "absent" else int(text)
        claims += pin(AttributeTerm(attribute, index), value, action)
    mine = [guard for guard in plan.guards if guard.action == action]
    forbidding = [guard.name for guard in mine if solver.possible(forbids(guard), *claims)]
    assert forbidding == [guard.name for guard in mine if not solver.possible(Not(forbids(guard)), *claims)]
    assert (forbidding[0] if forbidding else "-") == forbidden


@pytest.mark.parametrize(("lines", "moments", "truths"), table("windows"))
def test_what_time_makes_of_a_rule_is_possible(lines: str, moments: str, truths: str) -> None:
    program = lab.program(*bullets(lines))
    solver, (window,) = Solver(program.plan), program.plan.windows
    for (_, text), truth in zip(samples(moments), truths.split(";"), strict=True):
        given = pinned(program.plan, lab.facts(text, program))
        assert solver.possible(Over(window, TRUTHS[truth.strip()]), *given), (text, truth)


_conditions = st.sampled_from(
    ("memory > 95%", "memory > 80%", "not memory <= 80%", "memory > 80% and busy", "memory > 80% or busy", "busy")
)
_windows = st.builds("when {}{}: shed_load".format, _conditions, st.sampled_from((" for 10s", " for 20s", " for 0s")))
_clears = st.builds("when memory > 95%{}, clear at 80%: shed_load".format, st.sampled_from(("", " for 10s")))
_memories = st.sampled_from((ABSENT, UNKNOWN, 70.0, 80.0, 90.0, 95.0, 97.0))
_steps = st.tuples(st.integers(1, 15), _memories, st.sampled_from((ABSENT, UNKNOWN, True, False)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(_windows, _clears), min_size=1, max_size=4), st.lists(_steps, min_size=1, max_size=12))
def test_whatever_a_history_comes_to_is_possible(rules: list[str], steps: list[tuple[int, Known, Known]]) -> None:
    program = lab.program(*rules, "otherwise: hold", "fallback: hold")
    solver, memory, at = Solver(program.plan, timeout=60), Memory(), 0
    for seconds, share, busy in steps:
        at += seconds * SECOND
        facts = _of(program, {"memory": share, "busy": busy})
        held = program.sample(memory, at, facts)
        over = [Over(window, truth) for window, truth in zip(program.plan.windows, held, strict=True)]
        assert solver.possible(*over, *pinned(program.plan, facts))


def _of(program: Program, known: Mapping[str, Known]) -> tuple[Known, ...]:
    return tuple(known.get(fact.name, UNKNOWN) for fact in program.point.facts)
