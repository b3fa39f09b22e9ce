"""What the tests of a bundle have looked at: clauses, guards, thresholds from both sides, time.

Only what a test expects something of counts: a moment that nobody checks shows nothing. docs/tiki/testing.md says what
counts for each kind.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil, floor, inf, isfinite
from typing import Literal

from tiki.bundle import Bundle
from tiki.examples import ExampleResult
from tiki.kleene import compared, truth_of, value_of
from tiki.plan import AttributeTerm, Constant, Formula, Plan, Term, Test, tests
from tiki.schema import Attribute, Fact, Type
from tiki.testing.expect import Attributes, Candidate
from tiki.testing.run import Moment, ScenarioResult
from tiki.trace import Trace
from tiki.values import Known, Truth, show

Kind = Literal["clause", "guard", "threshold", "time"]
KINDS: tuple[Kind, ...] = ("clause", "guard", "threshold", "time")

_ORDERS = ("<", "<=", ">", ">=")
_WHOLE = (Type.COUNT, Type.BYTES)
_PERIODS = (1, 60, 3600, 86400)

Key = tuple[str, str, int, str]
"""Point, clause, number of the comparison in it or -1, and what was seen."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing that tests should look at. missing: what a test that does would look like. place: `path:line`."""

    point: str
    kind: Kind
    clause: str
    place: str
    missing: str
    covered: bool


@dataclass(frozen=True, slots=True)
class Coverage:
    """`goals` in order of point and clause."""

    goals: tuple[Goal, ...]

    @property
    def percent(self) -> float:
        """Share of goals that are covered, 0 to 100; 100 where there are none."""
        return 100 * sum(goal.covered for goal in self.goals) / len(self.goals) if self.goals else 100.0

    @property
    def missing(self) -> tuple[Goal, ...]:
        return tuple(goal for goal in self.goals if not goal.covered)

    def of(self, point: str) -> "Coverage":
        return Coverage(tuple(goal for goal in self.goals if goal.point == point))

    def count(self, kind: Kind) -> tuple[int, int]:
        """Covered and all goals of a kind."""
        mine = [goal.covered for goal in self.goals if goal.kind == kind]
        return sum(mine), len(mine)

    @property
    def points(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(goal.point for goal in self.goals))


def coverage(bundle: Bundle, examples: Iterable[ExampleResult], scenarios: Iterable[ScenarioResult]) -> Coverage:
    """What examples and scenarios of a bundle look at of all that its points decide by."""
    seen: set[Key] = set()
    for example in examples:
        seen |= set(_decided(example.trace))
    for scenario in scenarios:
        alike: set[tuple[object, ...]] = set()
        for moment, candidate in ((checked.moment, checked.candidate) for checked in scenario.checked):
            if candidate is not None:
                seen |= set(_guarded(moment.trace, candidate))
            elif (looks := _looks(moment)) not in alike:
                alike.add(looks)
                seen |= set(_decided(moment.trace))
                seen |= set(_timed(scenario, moment))
    return Coverage(tuple(goal for program in bundle.programs.values() for goal in _goals(program.plan, seen)))


# -- what there is to look at --------------------------------------------------------------------------------------


def _goals(plan: Plan, seen: set[Key]) -> Iterator[Goal]:
    point = plan.point.name

    def goal(kind: Kind, clause: str, index: int, what: str, place: str, missing: str) -> Goal:
        return Goal(point, kind, clause, place, missing, (point, clause, index, what) in seen)

    for rule in plan.rules:
        where = str(rule.place)
        yield goal("clause", rule.name, -1, "decides", where, f"nothing is decided by {rule.name}")
        yield from _sides(plan, rule.name, rule.condition, seen)
        if rule.window is not None:
            window = plan.windows[rule.window]
            if window.duration:
                long = show(Type.DURATION, window.duration)
                yield goal("time", rule.name, -1, "held", where, f"{rule.name} never has held for {long}")
                short = f"the condition of {rule.name} never holds for less than {long}"
                yield goal("time", rule.name, -1, "short", where, short)
            if window.stay is not None:
                yield goal("time", rule.name, -1, "kept", where, f"`clear at` never keeps {rule.name} in force")
                yield goal("time", rule.name, -1, "cleared", where, f"{rule.name} never comes back to its `clear at`")
        acts = rule.verdict.action != plan.point.terminal  # what does nothing stands for as long as it holds
        if acts and rule.cooldown is not None and plan.point.trigger == "edge":
            yield goal("time", rule.name, -1, "again", where, f"{rule.name} never fires again after its cooldown")
    if plan.last.reason == "otherwise":
        where = str(plan.last_place)
        yield goal("clause", plan.last.clause, -1, "decides", where, f"nothing is decided by {plan.last.clause}")
    if plan.rules:
        where = str(plan.rules[0].place)
        yield goal(
            "clause", "fallback", -1, "decides", where, "nothing is left to the fallback, such as by an unknown fact"
        )
    for guard in plan.guards:
        where = str(guard.place)
        yield goal("guard", guard.name, -1, "forbids", where, f"{guard.name} forbids no candidate")
        yield goal("guard", guard.name, -1, "passes", where, f"{guard.name} lets no candidate pass")
        yield from _sides(plan, guard.name, guard.condition, seen)


def _sides(plan: Plan, clause: str, condition: Formula, seen: set[Key]) -> Iterator[Goal]:
    point = plan.point.name
    for index, test in enumerate(tests(condition)):
        if test.operator in _ORDERS:
            for truth in (True, False):
                side = _side(test, truth)
                if side is not None and not side.possible:
                    continue
                covered = (point, clause, index, str(truth)) in seen
                missing = f"`{test.text}` in {clause} is never {'true' if truth else 'false'} near its limit"
                cure = f": try {side}" if side is not None else ""
                yield Goal(point, "threshold", clause, str(test.place), missing + cure, covered)


@dataclass(frozen=True, slots=True)
class _Side:
    """The values near a limit on one side of it. type: of the limit. at: whether the limit itself is one of them."""

    declared: Fact | Attribute
    type: Type
    limit: float
    reach: float | None
    up: bool
    at: bool

    @property
    def far(self) -> float:
        """The value farthest from the limit that the fact can have, infinite where there is no such one."""
        reach = inf if self.reach is None else self.reach
        end = self.limit + reach if self.up else self.limit - reach
        if self.whole and isfinite(end):
            end = floor(end + 1e-9) if self.up else ceil(end - 1e-9)
        low, high = self.declared.range
        return min(end, high) if self.up else max(end, low)

    @property
    def whole(self) -> bool:
        return self.declared.type in _WHOLE

    @property
    def possible(self) -> bool:
        """Whether the fact can have such a value."""
        low, high = self.declared.range
        first = self.limit
        if self.whole:
            first = ceil(first) if self.up else floor(first)
            if first == self.limit and not self.at:
                first += 1 if self.up else -1
        first = max(first, low) if self.up else min(first, high)
        apart = self.far - first if self.up else first - self.far
        return apart > 0 or (apart == 0 and (self.at or first != self.limit))

    def __str__(self) -> str:
        name, at = self.declared.name, _shown(self.type, self.limit)
        if not isfinite(self.far):
            return f"{name} {'above' if self.up else 'below'} {at}{' or at it' if self.at else ''}"
        far = _shown(self.type, self.far)
        if self.at and self.far != self.limit:
            return f"{name} from {at if self.up else far} to {far if self.up else at}"
        return f"{name} at {at}" if self.at else f"{name} {'above' if self.up else 'below'} {at}, to {far}"


def _side(test: Test, truth: bool) -> _Side | None:
    """None where the limit is no value."""
    mirrored = isinstance(test.left, Constant)
    right, left = _both(test) if mirrored else _both(test)[::-1]
    if not isinstance(right, Constant) or isinstance(left, Constant):
        return None
    limit = float(right.value)  # type: ignore[arg-type]
    up = ((test.operator in (">", ">=")) != mirrored) == truth
    declared = left.attribute if isinstance(left, AttributeTerm) else left.fact
    at = (test.operator in (">=", "<=")) == truth and not (declared.type in _WHOLE and limit % 1)
    return _Side(declared, right.type, limit, near(_counted(test, right), limit), up, at)


def _counted(test: Test, limit: Term) -> Type:
    """What a comparison is in: a count, where a count is compared with a number."""
    return Type.COUNT if Type.COUNT in (term.type for term in test.terms) else limit.type


def _shown(type_: Type, value: float) -> str:
    return show(type_, round(value) if type_ in _WHOLE else value)


def near(type_: Type, limit: float) -> float | None:
    """How far from a limit a value may be to be near it: a tenth of the limit, and for what is counted at least one.
    None where any value is near: there is no tenth of 0.

    One of a rate is one event in the shortest period in which the limit is a whole number of events.
    """
    tenth = abs(limit) / 10
    match type_:
        case Type.COUNT:
            return max(tenth, 1.0)
        case Type.NUMBER if limit == round(limit):
            return max(tenth, 1.0)
        case Type.RATE:
            return max(tenth, 1 / period_of(limit))
    return tenth or None


def period_of(rate: float) -> int:
    """The shortest period, in seconds, in which a rate is a whole number of events."""
    return next((p for p in _PERIODS if abs(rate * p - round(rate * p)) < 1e-9), _PERIODS[-1])


# -- what was seen ---------------------------------------------------------------------------------------------------


def _decided(trace: Trace) -> Iterator[Key]:
    plan, verdict = trace.plan, trace.verdict
    yield plan.point.name, verdict.clause, -1, "decides"
    tried = plan.rules[: verdict.index + 1] if verdict.index >= 0 else plan.rules
    for rule in tried:
        yield from _seen(plan.point.name, rule.name, rule.condition, trace.facts, {})


def _guarded(trace: Trace, candidate: Candidate) -> Iterator[Key]:
    """A guard that comes before the one that forbids let the candidate pass."""
    point = trace.plan.point.name
    for guard in trace.plan.guards:
        if guard.action == candidate.action:
            forbids = guard.name == candidate.forbidden
            yield point, guard.name, -1, "forbids" if forbids else "passes"
            yield from _seen(point, guard.name, guard.condition, trace.facts, candidate.attributes)
            if forbids:
                return


def _timed(scenario: ScenarioResult, moment: Moment) -> Iterator[Key]:
    plan, trace = scenario.program.plan, moment.trace
    point = plan.point.name
    now = scenario.program.unwatched(trace.facts)
    for rule in plan.rules:
        if rule.window is not None:
            window, held, before = plan.windows[rule.window], trace.held[rule.window], moment.before[rule.window]
            if window.duration and now[rule.window]:
                yield point, rule.name, -1, "held" if held else "short"
            if window.stay is not None and held and not now[rule.window]:
                yield point, rule.name, -1, "kept"
            if window.stay is not None and before and held is False:
                yield point, rule.name, -1, "cleared"
    if moment.fired and moment.again:
        yield point, trace.verdict.clause, -1, "again"


def _looks(moment: Moment) -> tuple[object, ...]:
    """The same for moments that show the same; most of a long scenario are alike. Facts are told apart by identity, for
    those without a value do not compare."""
    return (*map(id, moment.trace.facts), *moment.trace.held, *moment.before, moment.fired, moment.again)


def _seen(
    point: str, clause: str, condition: Formula, facts: tuple[Known, ...], attributes: Attributes
) -> Iterator[Key]:
    """The thresholds of a condition that were near and settled it: had the comparison come out the other way, so would
    the condition have."""
    made = tests(condition)
    values = [[value_of(term, facts, attributes) for term in test.terms] for test in made]
    truths = {id(test): compared(test, mine) for test, mine in zip(made, values, strict=True)}
    for index, test in enumerate(made):
        if test.operator in _ORDERS and truths[id(test)] is not None and _settles(test, condition, truths):
            left, right = values[index]
            if _is_near(test, left, right):
                yield point, clause, index, str(truths[id(test)])


def _settles(test: Test, condition: Formula, truths: Mapping[int, Truth]) -> bool:
    def otherwise(truth: bool) -> Truth:
        return truth_of(condition, lambda other: truth if other is test else truths[id(other)])

    return otherwise(True) != otherwise(False)


def _is_near(test: Test, left: Known, right: Known) -> bool:
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        return False
    limit, term = (left, test.left) if isinstance(test.left, Constant) else (right, _both(test)[1])
    reach = near(_counted(test, term), float(limit))
    return reach is None or abs(left - right) <= reach * (1 + 1e-9)


def _both(test: Test) -> tuple[Term, Term]:
    assert test.right is not None
    return test.left, test.right
