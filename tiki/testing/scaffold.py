"""A first spec for a decision point, with examples and a scenario that pass as they stand.

It has one rule that shows how rules are written, about a fact and a setting that seem to belong together, and says
beside it what else the point knows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tiki.document import TESTS
from tiki.format import format_text
from tiki.schema import Action, Fact, Point, Setting, Type
from tiki.testing.coverage import near, period_of
from tiki.testing.format import format_scenarios
from tiki.values import HOW_TO_WRITE, canonical, show

_LIMITS = {
    Type.PERCENT: "80%",
    Type.COUNT: "3",
    Type.NUMBER: "2.5",
    Type.DURATION: "30s",
    Type.BYTES: "8GB",
    Type.RATE: "10_per_minute",
}


@dataclass(frozen=True, slots=True)
class Scaffold:
    """name: what both files are called, without their endings. spec, tests: their texts."""

    name: str
    spec: str
    tests: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """held, missed: values of the fact with which the rule holds, and just not."""

    name: str
    condition: str
    action: str
    held: str
    missed: str


@dataclass(frozen=True, slots=True)
class _Plan:
    fact: Fact
    setting: Setting | None
    rules: tuple[_Rule, ...]


def scaffold(point: Point) -> Scaffold:
    plan = _plan(point)
    name = point.name.partition(".")[2]
    title = f"{point.manager.upper()} {name.replace('_', ' ').title()}"
    spec, tests = "\n".join(_spec(point, title, plan)), "\n".join(_tests(point, title, plan))
    return Scaffold(name, format_text(spec, f"{name}.tiki"), format_scenarios(tests, f"{name}{TESTS}"))


def _plan(point: Point) -> _Plan | None:
    """The rules to begin with; None where the point has no fact or no action to make one of."""
    actions = _actions(point)
    if not actions:
        return None
    for fact, setting in _pairs(point):
        rules = _thresholds(fact, setting, actions)
        if rules:
            return _Plan(fact, setting, rules)
    for fact in point.facts:
        if fact.type is Type.NAME and len(fact.values) > len(actions):
            found = zip(fact.values, actions, strict=False)
            rest = fact.values[-1]
            rules = tuple(_Rule(value, f"{fact.name} == {value}", a.name, value, rest) for value, a in found)
            return _Plan(fact, None, rules)
        if fact.type is Type.FLAG and len(actions) == 1:
            return _Plan(fact, None, (_Rule("first", fact.name, actions[0].name, "true", "false"),))
    return None


def _actions(point: Point) -> list[Action]:
    """One action that needs nothing to take it back, else one with the action that does."""
    open_ = [action for action in point.actions if action.name != point.terminal]
    final = [action for action in open_ if action.undo is None]
    if final:
        return final[:1]
    pairs = [[action, point.action(action.undo)] for action in open_ if action.undo not in (None, point.terminal)]
    return pairs[0] if pairs else open_[:1]


def _pairs(point: Point) -> Iterator[tuple[Fact, Setting | None]]:
    """Facts that have an order, each with a setting of its type: first those that share a word."""
    ordered = [fact for fact in point.facts if fact.type in _LIMITS]
    same = [(f, s) for f in ordered for s in point.settings if s.type is f.type and s.default is not None]
    yield from ((f, s) for f, s in same if set(f.name.split("_")) & set(s.name.split("_")))
    yield from same
    yield from ((fact, None) for fact in ordered)


def _thresholds(fact: Fact, setting: Setting | None, actions: list[Action]) -> tuple[_Rule, ...]:
    """A rule at the limit, and where its action must be taken back another at half of it; none where these lie
    outside of what the fact can be."""
    text = setting.default if setting is not None and setting.default is not None else _LIMITS[fact.type]
    limit = canonical(fact.type, text)
    assert isinstance(limit, int | float)
    low, high = fact.range
    period = period_of(limit) if fact.type is Type.RATE else 1
    half = _like(limit, limit / 2 if period == 1 else limit * period // 2 / period)
    below, above = _beside(fact.type, limit, -1), _beside(fact.type, half, 1)
    if not low <= half < above < below < limit <= high:
        return ()
    name = setting.name if setting is not None else show(fact.type, limit)
    written = [show(fact.type, value) for value in (limit, below, half, above)]
    rules = [_Rule("high", f"{fact.name} >= {name}", actions[0].name, written[0], written[1])]
    if len(actions) > 1:
        rules.append(_Rule("low", f"{fact.name} <= {written[2]}", actions[1].name, written[2], written[3]))
    return tuple(rules)


def _beside(type_: Type, limit: float, way: int) -> float:
    """A value near the limit, on one side of it."""
    reach = near(type_, limit) or 0.0
    return _like(limit, limit + way * (reach if reach == 1 else reach / 2 if type_ is not Type.RATE else reach))


def _like(limit: float, value: float) -> float:
    return round(value) if isinstance(limit, int) else value


# -- the spec --------------------------------------------------------------------------------------------------------


def _spec(point: Point, title: str, plan: _Plan | None) -> Iterator[str]:
    terminal = point.terminal
    yield from (f"# {title}", "", point.doc, "", *_known(point), "", f"## {title} Spec", f"- decides: {point.name}")
    if plan is not None and plan.setting is not None:
        yield f"- {plan.setting.name}: {plan.setting.default}"
    yield from ("- fallback: request_operator", f"- on_timeout: {terminal}", "")
    if plan is None:
        actions = ", ".join(action.name for action in point.actions)
        yield from (f"- otherwise: consult [{actions}]", "", "### Examples", "| decides |", "| --- |", "| consult |")
        return
    for rule in plan.rules:
        yield f"- {rule.name}: when {rule.condition}{_for(point, plan)}: {rule.action}"
    yield from (f"- otherwise: {terminal}", "", "### Examples", f"| {plan.fact.name} | decides |", "| --- | --- |")
    for rule in plan.rules:
        yield f"| {rule.held} | {rule.action} |"
    for missed in dict.fromkeys(rule.missed for rule in plan.rules):
        yield f"| {missed} | {terminal} |"
    yield "| unknown | request_operator |"


def _for(point: Point, plan: _Plan) -> str:
    return " for 30s" if point.trigger == "edge" and plan.fact.type in _LIMITS else ""


def _known(point: Point) -> Iterator[str]:
    """What the point knows, as a comment."""
    yield "<!--"
    yield "A rule may ask for these facts:"
    yield from (f"  {fact.name} ({_written(fact.type, fact.values)}): {_plain(fact.doc)}" for fact in point.facts)
    if point.settings:
        yield "and for these settings, which a line `- NAME: VALUE` changes:"
        yield from (f"  {s.name} ({s.default or _written(s.type, s.values)}): {_plain(s.doc)}" for s in point.settings)
    yield "It chooses one of these actions:"
    for action in point.actions:
        args = f"({', '.join(arg.name for arg in action.args)})" if action.args else ""
        last = ", always possible" if action.name == point.terminal else ""
        yield f"  {action.name}{args}{last}: {_plain(action.doc)}"
    if point.attributes:
        yield "A guard (`never ACTION when ...`) may also ask for these of a candidate:"
        for attribute in point.attributes:
            yield f"  {attribute.name} (of {', '.join(attribute.actions)}): {_plain(attribute.doc)}"
    yield "-->"


def _written(type_: Type, values: tuple[str, ...]) -> str:
    return " or ".join(values) if values else f"{type_.value}, such as {HOW_TO_WRITE[type_].replace('`', '')}"


def _plain(text: str) -> str:
    return text.replace("--", "-")


# -- the tests -------------------------------------------------------------------------------------------------------


def _tests(point: Point, title: str, plan: _Plan | None) -> Iterator[str]:
    yield from (f"# Tests of {title}", "", f"- decides: {point.name}", "")
    if plan is None:
        yield from ("## Scenario: nobody has written a rule yet", "- at 0s: consult")
        return
    fact = plan.fact
    for rule in plan.rules:
        if not _for(point, plan):
            yield from (
                f"## Scenario: {fact.name} is {rule.held}",
                f"- load 10s: {fact.name} {rule.missed} {rule.held}",
            )
            yield from (f"- at 0s: {point.terminal}", f"- at 10s: {rule.action} by {rule.name}", "")
            continue
        every = 10.0 if fact.max_age is None or fact.max_age >= 10 else fact.max_age
        steps = -(-30 // every)
        ends, soon = (show(Type.DURATION, every * count) for count in (steps + 1, steps))
        again = show(Type.DURATION, every * (steps + 2))
        yield from (
            f"## Scenario: {fact.name} stays {rule.name}",
            f"- load {show(Type.DURATION, every)}: {fact.name} {rule.missed} {rule.held} x{int(steps) + 1}",
            f"- from 0s to {soon}: {point.terminal}",
            f"- at {ends}: {rule.action} by {rule.name}",
            f"- at {again}: still {rule.action}",
            "",
        )
