"""A region of inputs in TIKI words, where a few say it: the comparisons of an example that make it belong there."""

from collections.abc import Iterator, Sequence

from tiki.analysis.claims import All, Claim, Is, Not
from tiki.analysis.inputs import Input
from tiki.analysis.solver import Solver
from tiki.plan import AttributeTerm, Constant, FactTerm, Plan, Term, Test, signature, tests
from tiki.trace import show_constant

MOST_WORDS = 4
"""Comparisons of a condition; of more nobody makes sense at a glance."""

_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


def condition_of(solver: Solver, region: Claim, given: Input, plans: Sequence[Plan]) -> tuple[str, bool]:
    """A condition that holds of `given` and only of inputs in the region, and whether it holds of all of those; ""
    where there is none of at most four comparisons, or where time or an unknown fact has to do with it."""
    known = [test for test in _tests(plans) if given.truth(test) is not None]
    facts = [Is(test, given.truth(test)) for test in known]
    core = solver.reason(*facts, Not(region))
    if core is None or len(core) - 1 > MOST_WORDS:
        return "", False
    mine = [facts[position] for position in core if position < len(facts)]
    if not mine:
        return "", False
    order = [fact.name for fact in plans[0].point.facts]
    mine.sort(key=lambda one: (min(order.index(name) for name in _names(one) if name in order), not one.truth))
    exactly = solver.possible(region, Not(All(tuple(mine)))) is False
    return " and ".join(_words(mine)), exactly


def _tests(plans: Sequence[Plan]) -> list[Test]:
    """The comparisons of all rules, each once."""
    found = {signature(test): test for plan in plans for rule in plan.rules for test in tests(rule.condition)}
    return list(found.values())


def _words(facts: Sequence[Is]) -> Iterator[str]:
    """What is false of a fact that something else is true of is said the other way round."""
    true = {name for one in facts if one.truth and tests(one.formula)[0].operator != "absent" for name in _names(one)}
    for one in facts:
        (test,) = tests(one.formula)
        turned = not one.truth and test.operator in _OPPOSITE and _names(one) <= true
        yield _word(test, _OPPOSITE[test.operator] if turned else test.operator, negated=not one.truth and not turned)


def _names(fact: Is) -> set[str]:
    return {_name(term) for test in tests(fact.formula) for term in test.terms} - {""}


def _word(test: Test, operator: str, negated: bool) -> str:
    left = _shown(test.left)
    match operator:
        case "absent":
            text = f"{left} is absent"
        case "holds":
            text = left
        case _:
            assert test.right is not None
            text = f"{left} {operator} {_shown(test.right)}"
    return f"not {text}" if negated else text


def _name(term: Term) -> str:
    match term:
        case FactTerm():
            return term.fact.name
        case AttributeTerm():
            return term.attribute.name
    return ""


def _shown(term: Term) -> str:
    return show_constant(term) if isinstance(term, Constant) else _name(term)
