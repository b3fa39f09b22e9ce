"""Settings that are compared with settings or values are switches: a spec says what it does for each way they stand,
and an overlay or an example turns them. So they are asked about as facts are, facts that are always known, and a rule
for the other way is not one that never holds. Where a setting is compared with a fact, its value of now counts."""

import re
from dataclasses import dataclass, replace

from tiki.analysis import All, Claim, Is
from tiki.plan import Any_, AttributeTerm, Constant, Every, FactTerm, Formula, Negation, Plan, Term, Test, Window, tests
from tiki.schema import Fact


@dataclass(frozen=True, slots=True)
class Opened:
    """A plan whose switches are facts, their names, and the claim that each of them is known."""

    plan: Plan
    names: frozenset[str]
    known: Claim


def opened(plan: Plan) -> Opened:
    """Windows that are alike in all but their place have one truth, so they get one key."""
    conditions = [rule.condition for rule in plan.rules] + [guard.condition for guard in plan.guards]
    switches = [test for condition in conditions for test in tests(condition) if _is_switch(test)]
    settings = {s.name: s for s in plan.point.settings}
    facts: dict[str, FactTerm] = {}
    for constant in (term for test in switches for term in test.terms):
        assert isinstance(constant, Constant)
        name = constant.setting
        if name is not None and name not in facts:
            values = settings[name].values if name in settings else ()
            fact = Fact(name=name, type=constant.type, doc="a setting", values=values)
            facts[name] = FactTerm(fact, len(plan.point.facts) + len(facts))
    point = plan.point
    if facts:
        point = point.model_copy(update={"facts": (*point.facts, *(term.fact for term in facts.values()))})
    again = replace(
        plan,
        point=point,
        rules=tuple(replace(rule, condition=_open(rule.condition, facts)) for rule in plan.rules),
        guards=tuple(replace(guard, condition=_open(guard.condition, facts)) for guard in plan.guards),
        windows=tuple(_window(window, facts) for window in plan.windows),
    )
    absent = [Test(term, "absent", None, "", switches[0].place) for term in facts.values()]
    return Opened(again, frozenset(facts), All(tuple(Is(test, False) for test in absent)))


def _window(window: Window, facts: dict[str, FactTerm]) -> Window:
    return replace(window, condition=_open(window.condition, facts), key=re.sub(r" #\d+$", "", window.key))


def _is_switch(test: Test) -> bool:
    return not any(isinstance(term, FactTerm | AttributeTerm) for term in test.terms)


def _open(formula: Formula, facts: dict[str, FactTerm]) -> Formula:
    match formula:
        case Test():
            if not _is_switch(formula):
                return formula
            right = None if formula.right is None else _term(formula.right, facts)
            return replace(formula, left=_term(formula.left, facts), right=right)
        case Negation(item):
            return Negation(_open(item, facts))
        case Every(items):
            return Every(tuple(_open(item, facts) for item in items))
        case Any_(items):
            return Any_(tuple(_open(item, facts) for item in items))


def _term(term: Term, facts: dict[str, FactTerm]) -> Term:
    return facts[term.setting] if isinstance(term, Constant) and term.setting is not None else term
