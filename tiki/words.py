"""Rules in plain words: `memory is above memory_threshold (80%)`."""

from tiki.plan import (
    Any_,
    AttributeTerm,
    Constant,
    Every,
    FactTerm,
    Formula,
    Negation,
    Plan,
    RulePlan,
    Term,
    Test,
    Verdict,
)
from tiki.schema import Point, Type
from tiki.trace import show_constant
from tiki.values import show

_OPERATORS = {
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
    "==": "is",
    "!=": "is not",
    "in": "is one of",
}
_OPPOSITE = {
    "<": "is not below",
    "<=": "is not at most",
    ">": "is not above",
    ">=": "is not at least",
    "==": "is not",
    "!=": "is",
    "in": "is none of",
}


def condition(formula: Formula) -> str:
    """A condition on one line; parentheses stand where `and` and `or` meet."""
    match formula:
        case Test():
            return _test(formula, _OPERATORS)
        case Negation(Test() as test) if test.operator in _OPPOSITE or test.operator in ("absent", "holds"):
            return _test(test, _OPPOSITE, "not ")
        case Negation(item):
            return f"not ({condition(item)})"
        case Every(items):
            return " and ".join(_inner(item) for item in items)
        case Any_(items):
            return " or ".join(_inner(item) for item in items)


def parts(formula: Formula) -> tuple[str, tuple[str, ...]]:
    """A condition as a list: `all of` or `any of` with what must hold, or one line by itself with nothing before it."""
    match formula:
        case Every(items):
            return "all of", tuple(condition(item) for item in items)
        case Any_(items):
            return "any of", tuple(condition(item) for item in items)
    return "", (condition(formula),)


def timing(plan: Plan, rule: RulePlan) -> tuple[str, ...]:
    """What time has to do with a rule: how long it must hold, when it clears, how often it fires again."""
    said = []
    window = None if rule.window is None else plan.windows[rule.window]
    if window is not None and window.duration:
        said.append(f"held for {_duration(window.duration)}")
    if window is not None and window.stay is not None:
        said.append(f"stays while {condition(window.stay)}")
    cooldown = rule.cooldown if rule.cooldown is not None else plan.cooldown
    if cooldown is not None and plan.point.trigger == "edge":
        said.append(f"again after {_duration(cooldown)}, if it still holds")
    return tuple(said)


def choice(verdict: Verdict) -> str:
    """What a clause does."""
    if verdict.kind == "consult":
        return f"ask which of {', '.join(verdict.actions)}"
    if verdict.action is None:
        return {"advisor": "ask an advisor, then a person", "operator": "ask a person"}[verdict.tier or "operator"]
    args = ", ".join(f"{name}: {value}" for name, value in verdict.args.items())
    return f"{verdict.action} ({args})" if args else verdict.action


def trigger(point: Point) -> str:
    if point.trigger == "every":
        return "Decides at every event."
    return "A rule fires when it begins to hold, once for each subject."


def ending(plan: Plan) -> tuple[str, ...]:
    """What happens where no rule decides, and where nobody answers."""
    said = []
    if plan.last.reason == "otherwise":
        said.append(f"Where no rule holds: {choice(plan.last)}.")
    if plan.last.reason == "unset":
        said.append(f"No spec says anything about this: {choice(plan.last)}, always.")
    elif plan.rules or not plan.last_place:
        unsure = "Where a rule that might decide cannot be told" + ("" if plan.last_place else ", or none holds")
        said.append(f"{unsure}: {choice(plan.fallback)}.")
    if plan.explore is not None:
        share, most = show(Type.PERCENT, 100 * plan.explore.share), plan.explore.daily
        what = "another candidate than the best, one that can be taken back"
        said.append(f"{share} of the policy's answers, at most {most} a day: {what}.")
    if plan.last.reason != "unset":
        said.append(f"A case that nobody answers within {_duration(plan.timeout)}: {plan.on_timeout}.")
    return tuple(said)


def _inner(formula: Formula) -> str:
    return f"({condition(formula)})" if isinstance(formula, Every | Any_) else condition(formula)


def _test(test: Test, operators: dict[str, str], denied: str = "") -> str:
    left = _term(test.left)
    if test.operator == "absent":
        return f"{left} is {denied}absent"
    if test.operator == "holds":
        return f"{left} is {'false' if denied else 'true'}"
    assert test.right is not None
    return f"{left} {operators[test.operator]} {_term(test.right)}"


def _term(term: Term) -> str:
    match term:
        case FactTerm():
            return term.fact.name
        case AttributeTerm():
            return term.attribute.name
        case Constant():
            shown = show_constant(term).strip("[]")
            return f"{term.setting} ({shown})" if term.setting else shown


def _duration(seconds: float) -> str:
    return show(Type.DURATION, seconds)
