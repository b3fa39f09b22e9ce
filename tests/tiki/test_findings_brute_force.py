"""What is proved about rules and guards is what trying every input says, on random specs over a few values."""

import itertools
from collections.abc import Iterator
from typing import Any

import lab
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiki
from tiki import ABSENT, UNKNOWN, Known, Source, Truth
from tiki.analysis import Input
from tiki.findings.parts import parts, without
from tiki.fix import fix
from tiki.plan import Formula, Plan

MEMORY: tuple[Known, ...] = (15.0, 30.0, 45.0, 60.0, 75.0, ABSENT, UNKNOWN)
QUEUE: tuple[Known, ...] = (0, 1, 2, 3, ABSENT, UNKNOWN)
BUSY: tuple[Known, ...] = (True, False, ABSENT, UNKNOWN)
FACTS = [
    dict(zip(("memory", "queue", "busy"), values, strict=True)) for values in itertools.product(MEMORY, QUEUE, BUSY)
]
CANDIDATES: list[dict[str, Known]] = [{"job.gpu": value} for value in (0, 1, 2, 3, ABSENT, UNKNOWN)]
"""One value for each stretch between the numbers that the specs name, so that no other input tells more."""


def sure(values: dict[str, Known]) -> bool:
    return all(value is not UNKNOWN for value in values.values())


KNOWN = [facts for facts in FACTS if sure(facts)]

_FACT = st.one_of(
    st.builds("memory {} {}%".format, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.sampled_from([30, 60])),
    st.builds("queue {} {}".format, st.sampled_from(["<", "<=", ">", ">="]), st.sampled_from([0, 1, 2])),
    st.sampled_from(["busy", "busy == false", "memory is absent", "queue in [1, 2]", "busy is absent"]),
)
_ATTRIBUTE = st.builds("job.gpu {} {}".format, st.sampled_from(["<", "<=", ">", ">="]), st.sampled_from([0, 1, 2]))


def conditions(leaf: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        several = st.lists(inner, min_size=2, max_size=3)
        return st.one_of(
            st.builds("not ({})".format, inner),
            several.map(lambda items: " and ".join(f"({item})" for item in items)),
            several.map(lambda items: " or ".join(f"({item})" for item in items)),
        )

    return st.recursive(leaf, joined, max_leaves=5)


RULES = st.builds(
    "when {}: {}".format,
    conditions(_FACT),
    st.sampled_from(["shed_load", "migrate", "hold", "consult [migrate, hold]", "consult [migrate, scale_out]"]),
)
GUARDS = st.builds(
    "never {} when {}".format,
    st.just("migrate"),
    st.one_of(conditions(_FACT), conditions(st.one_of(_FACT, _ATTRIBUTE))),
)
SPECS = st.tuples(
    st.lists(RULES, min_size=1, max_size=4),
    st.lists(GUARDS, max_size=2),
    st.sampled_from([[], ["otherwise: hold"], ["otherwise: migrate"]]),
).map(lambda parts: ["fallback: hold", *itertools.chain(*parts)])


def truth(condition: Formula, facts: dict[str, Known], candidate: dict[str, Known] | None = None) -> Truth:
    return Input(facts, {}, {"migrate": candidate or {}}).truth(condition, "migrate")


class Tried:
    """A plan, every input of which has been tried."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.truths = [[truth(rule.condition, facts) for rule in plan.rules] for facts in FACTS]

    def deciding(self, index: int) -> Iterator[dict[str, Known]]:
        """The facts for which a rule, or `otherwise` behind the last, decides."""
        for facts, truths in zip(FACTS, self.truths, strict=True):
            first = next((i for i, truth in enumerate(truths) if truth is not False), len(truths))
            if first == index and (index == len(truths) or truths[index] is True):
                yield facts

    def forbidden(self, facts: dict[str, Known]) -> bool:
        """Whether no candidate of `migrate` gets past the guards."""
        return bool(self.plan.guards) and all(
            any(truth(guard.condition, facts, candidate) is not False for guard in self.plan.guards)
            for candidate in CANDIDATES
        )

    def expected(self) -> set[tuple[str, str]]:
        """Codes and the clauses that they are about, TIKI-704 left out."""
        return {*self.of_rules(), *self.of_guards()}

    def of_rules(self) -> Iterator[tuple[str, str]]:
        verdicts = [rule.verdict for rule in self.plan.rules]
        for index, rule in enumerate(self.plan.rules):
            if not any(truths[index] is True for truths in self.truths):
                yield "TIKI-701", rule.name
            elif not any(self.deciding(index)):
                yield "TIKI-702", rule.name
            elif all(truth(rule.condition, facts) is True for facts in KNOWN):
                yield "TIKI-703", rule.name
        if self.plan.last_place is not None:
            verdicts.append(self.plan.last)
            if not any(self.deciding(len(self.plan.rules))):
                yield "TIKI-702", "otherwise"
        for index, verdict in enumerate(verdicts):
            where = list(self.deciding(index))
            if where and "migrate" in (verdict.action, *verdict.actions) and all(map(self.forbidden, where)):
                yield "TIKI-714" if verdict.kind == "act" else "TIKI-715", verdict.clause

    def of_guards(self) -> Iterator[tuple[str, str]]:
        known = [candidate for candidate in CANDIDATES if sure(candidate)]
        for guard in self.plan.guards:
            if not any(truth(guard.condition, facts, candidate) for facts in KNOWN for candidate in known):
                yield "TIKI-712", guard.name
        if self.plan.guards and all(map(self.forbidden, FACTS)):
            yield "TIKI-713", "a guard"


def truths(condition: Formula) -> list[Truth]:
    return [truth(condition, facts, candidate) for facts in FACTS for candidate in CANDIDATES]


def has_idle_part(condition: Formula) -> bool:
    whole = truths(condition)
    lefts = (without(condition, part.formula) for part in parts(condition))
    return any(truths(left) == whole for left in lefts if left is not None)


def clause_at(plan: Plan, line: int) -> str:
    clauses: list[Any] = [*plan.rules, *plan.guards]
    return next((clause.name for clause in clauses if clause.place.span.line == line), "otherwise")


@settings(max_examples=120, deadline=None)
@given(SPECS, st.booleans())
def test_what_is_proved_is_what_trying_every_input_says(bullets: list[str], tables: bool) -> None:
    """tables: questions about one condition go to its truth table; else to the solver, like all others."""
    source = Source(lab.PATH, lab.spec(*bullets))
    plan = tiki.build([source], lab.POINTS).programs[lab.POINT.name].plan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tiki.findings._known", {})
        if not tables:
            patch.setattr("tiki.findings.tables._LARGEST", 0)
        found = [one for one in tiki.check([source], lab.POINTS) if "TIKI-701" <= one.code <= "TIKI-715"]
    mine = {(one.code, clause_at(plan, one.line)) for one in found}
    tried = Tried(plan)
    guarded = {(code, "a guard" if code == "TIKI-713" else name) for code, name in mine if code != "TIKI-704"}
    assert guarded == tried.expected(), "\n".join(map(str, found))
    silent = {name for code, name in mine if code in ("TIKI-701", "TIKI-702", "TIKI-703", "TIKI-712", "TIKI-713")}
    for clause in (*plan.rules, *plan.guards):
        if clause.name not in silent:
            assert (("TIKI-704", clause.name) in mine) == has_idle_part(clause.condition), clause


@settings(max_examples=60, deadline=None)
@given(SPECS)
def test_a_fix_changes_no_truth_and_leaves_nothing_to_fix(bullets: list[str]) -> None:
    source = Source(lab.PATH, lab.spec(*bullets))
    fixed = fix([source], lab.POINTS)
    assert not any(one.fix for one in fixed.left)
    before, after = (tiki.build([text], lab.POINTS).programs[lab.POINT.name].plan for text in (source, *fixed.sources))
    for old, new in zip((*before.rules, *before.guards), (*after.rules, *after.guards), strict=True):
        assert truths(old.condition) == truths(new.condition)


@pytest.mark.parametrize("budget", [0.0, 1e-9])
def test_what_is_not_settled_in_time_is_no_finding(budget: float) -> None:
    rule = " and ".join(f"memory > {number}%" for number in range(40))
    bullets = ["fallback: hold", f"when {rule}: shed_load", f"when {rule} and busy: migrate"]
    assert tiki.check([Source(lab.PATH, lab.spec(*bullets))], lab.POINTS, budget=budget) == []
