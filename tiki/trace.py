"""Why a decision fell as it did: every comparison that was made, with its values, truth and source line."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tiki.kleene import compared, truth_of, value_of
from tiki.plan import AttributeTerm, Constant, Every, FactTerm, Formula, Negation, Plan, RulePlan, Test, Verdict, tests
from tiki.schema import Type
from tiki.values import Known, Truth, show

_SURE: Mapping[Truth, int] = {False: 0, None: 1, True: 2}
_ORDERED = ("<", "<=", ">", ">=")


class Step(msgspec.Struct, frozen=True):
    """One comparison. values: what its facts, settings and attributes stood for, as text with units. place:
    `path:line`. margin: of an order, how far its two sides are apart, as text with a unit; empty where there is no such
    thing."""

    text: str
    values: dict[str, str]
    truth: Truth
    place: str
    margin: str = ""


class Tried(msgspec.Struct, frozen=True):
    """One rule that was tried, or one guard that was asked.

    truth: of the rule; where it is judged over time, that differs from `now`, the truth of its comparisons.
    lacks: the comparisons (as text) of which one alone, were it otherwise, would make the condition hold; empty unless
    it is false.
    """

    clause: str
    truth: Truth
    over_time: bool
    place: str
    steps: tuple[Step, ...]
    now: Truth = None
    lacks: tuple[str, ...] = ()


class Considered(msgspec.Struct, frozen=True):
    """A candidate before the guards of its action. forbidden: the first guard that takes it out, or None."""

    action: str
    attributes: dict[str, str]
    forbidden: str | None
    guards: tuple[Tried, ...]

    def text(self) -> str:
        """A tree of plain text."""
        what = f"forbidden by {self.forbidden}" if self.forbidden else "allowed"
        named = ", ".join(f"{name} {value}" for name, value in self.attributes.items())
        return "\n".join([f"{self.action}{f' ({named})' if named else ''}: {what}", *_branches(self.guards)])


class Barred(msgspec.Struct, frozen=True):
    """An action that is decided and that a guard forbids, whatever a candidate carries. guard: the first that does; it
    cannot be told where its truth is None. instead: what answers, under the clause that decided."""

    action: str
    guard: Tried
    instead: Verdict

    def __str__(self) -> str:
        told = "" if self.guard.truth else f", {self.guard.clause} cannot be told"
        answers = self.instead.tier or self.instead.action
        return f"{self.action} is forbidden by {self.guard.clause}{told}: the fallback answers, {answers}"


class Trace(msgspec.Struct, frozen=True, gc=False):
    """A decision with the truth of every comparison up to the deciding clause, in order;
    rendered only when somebody reads it."""

    plan: Plan
    verdict: Verdict
    facts: tuple[Known, ...]
    held: tuple[Truth, ...]
    truths: tuple[Truth, ...]

    @property
    def tried(self) -> tuple[Tried, ...]:
        return tuple(self._tried())

    @property
    def untried(self) -> tuple[str, ...]:
        """The rules behind the one that ended the search."""
        return tuple(rule.name for rule in self.plan.rules[self.verdict.index + 1 :]) if self.verdict.index >= 0 else ()

    def _tried(self) -> Iterator[Tried]:
        start = 0
        for index, rule in enumerate(self.plan.rules):
            made = tests(rule.condition)
            if start + len(made) > len(self.truths):
                return
            truths = self.truths[start : start + len(made)]
            start += len(made)
            found = dict(zip(map(id, made), truths, strict=True))
            steps = tuple(_step(test, truth, self.facts, {}) for test, truth in zip(made, truths, strict=True))
            now = truth_of(rule.condition, lambda test, found=found: found[id(test)])  # type: ignore[misc]
            truth = self._truth(rule, index)
            lacks = _lacks(rule.condition, found) if now is False and truth is False else ()
            yield Tried(rule.name, truth, rule.window is not None, str(rule.place), steps, now, lacks)

    def _truth(self, rule: RulePlan, index: int) -> Truth:
        if rule.window is not None:
            return self.held[rule.window]
        if self.verdict.index != index:
            return False
        return True if self.verdict.reason == "rule" else None

    @property
    def barred(self) -> Barred | None:
        """What the facts alone forbid of the verdict; None where that is nothing, or depends on the candidates."""
        plan, verdict = self.plan, self.verdict
        guard = _forbidding(plan, self.facts, verdict.action)
        if guard is None or verdict.action is None:
            return None
        instead = plan.fallback
        if verdict.kind == "fallback" or _forbidding(plan, self.facts, instead.action) is not None:
            instead = msgspec.structs.replace(plan.fallback, action=plan.point.terminal, args={}, tier=None)
        instead = msgspec.structs.replace(instead, kind="fallback", clause=verdict.clause)
        return Barred(verdict.action, guard, instead)

    @property
    def outcome(self) -> Verdict:
        """What is answered: the verdict, or what answers where guards forbid it."""
        barred = self.barred
        return self.verdict if barred is None else barred.instead

    @property
    def decided(self) -> str:
        """The verdict in words, and what the guards do to it."""
        barred = self.barred
        return describe(self.verdict) if barred is None else f"{describe(self.verdict)}, but {barred}"

    @property
    def place(self) -> str:
        """Where the deciding clause stands; empty where no clause decided."""
        if self.verdict.reason in ("rule", "unknown"):
            return str(self.plan.rules[self.verdict.index].place)
        return str(self.plan.last_place) if self.plan.last_place and self.verdict.reason == "otherwise" else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: point, kind, clause, action, args, actions, tier, reason, place,
        rules with their comparisons, the names of those that were not tried, and the guard that forbids the action
        with what answers instead, or None."""
        verdict = msgspec.to_builtins(self.verdict)
        del verdict["index"]
        rules = msgspec.to_builtins(self.tried)
        barred = self.barred
        forbidden = None
        if barred is not None:
            instead = {"action": barred.instead.action, "tier": barred.instead.tier}
            forbidden = {"guard": msgspec.to_builtins(barred.guard), "instead": instead}
        return {
            "point": self.plan.point.name,
            **verdict,
            "place": self.place,
            "rules": rules,
            "untried": list(self.untried),
            "forbidden": forbidden,
        }

    def text(self) -> str:
        """A tree of plain text."""
        where = f" ({self.place})" if self.place else ""
        lines = [f"{self.plan.point.name}: {describe(self.verdict)}{where}", *_branches(self.tried)]
        if self.untried:
            lines.append(f"   not tried: {', '.join(self.untried)}")
        if self.barred is not None:
            lines += [str(self.barred), *_branches((self.barred.guard,))]
        return "\n".join(lines)


def consider(plan: Plan, facts: tuple[Known, ...], action: str, attributes: Mapping[str, Any]) -> Considered:
    """A candidate before all guards of its action. attributes: canonical values by name; None is absent, a missing one
    unknown."""
    asked = []
    for guard in plan.guards:
        if guard.action == action:
            made = tests(guard.condition)
            found = {id(test): _now(test, facts, attributes) for test in made}
            truth = truth_of(guard.condition, lambda test, found=found: found[id(test)])  # type: ignore[misc]
            steps = tuple(_step(test, found[id(test)], facts, attributes) for test in made)
            lacks = _lacks(guard.condition, found) if truth is False else ()
            asked.append(Tried(guard.name, truth, False, str(guard.place), steps, truth, lacks))
    shown = {
        one.name: "absent" if attributes[one.name] is None else show(one.type, attributes[one.name])
        for one in plan.point.attributes
        if one.name in attributes
    }
    return Considered(action, shown, next((one.clause for one in asked if one.truth is not False), None), tuple(asked))


def _forbidding(plan: Plan, facts: tuple[Known, ...], action: str | None) -> Tried | None:
    """The first guard that takes every candidate of an action out: it is not false, whatever they carry."""
    mine = [guard for guard in plan.guards if guard.action == action]
    if action is None or not any(False not in _truths(guard.condition, facts) for guard in mine):
        return None
    asked = consider(plan, facts, action, {}).guards
    return next(one for guard, one in zip(mine, asked, strict=True) if False not in _truths(guard.condition, facts))


def _truths(formula: Formula, facts: tuple[Known, ...]) -> set[Truth]:
    """What a condition may be for a candidate of which nothing is known; never too few."""
    match formula:
        case Test():
            truth = _now(formula, facts, {})
            carried = any(isinstance(term, AttributeTerm) for term in formula.terms)
            return {True, False, None} if carried and truth is None else {truth}
        case Negation(item):
            return {None if truth is None else not truth for truth in _truths(item, facts)}
    chosen = min if isinstance(formula, Every) else max
    found, *others = (_truths(item, facts) for item in formula.items)
    for other in others:
        found = {chosen(one, two, key=_SURE.__getitem__) for one in found for two in other}
    return found


def _now(test: Test, facts: tuple[Known, ...], attributes: Mapping[str, Any]) -> Truth:
    return compared(test, [value_of(term, facts, attributes) for term in test.terms])


def _step(test: Test, truth: Truth, facts: tuple[Known, ...], attributes: Mapping[str, Any]) -> Step:
    return Step(
        test.text, dict(_named(test, facts, attributes)), truth, str(test.place), _margin(test, facts, attributes)
    )


def _named(test: Test, facts: tuple[Known, ...], attributes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for term in test.terms:
        match term:
            case FactTerm():
                yield term.fact.name, show(term.type, facts[term.index])
            case AttributeTerm():
                yield term.attribute.name, show(term.type, value_of(term, facts, attributes))
            case Constant(setting=str(name)):
                yield name, show_constant(term)


def _margin(test: Test, facts: tuple[Known, ...], attributes: Mapping[str, Any]) -> str:
    if test.operator not in _ORDERED:
        return ""
    left, right = (value_of(term, facts, attributes) for term in test.terms)
    if isinstance(left, bool) or not isinstance(left, int | float) or not isinstance(right, int | float):
        return ""
    type_ = Type.NUMBER if Type.NUMBER in (term.type for term in test.terms) else test.left.type
    apart = abs(left - right)
    return show(type_, round(apart, 9) if isinstance(apart, float) else apart)


def _lacks(condition: Formula, found: Mapping[int, Truth]) -> tuple[str, ...]:
    """The comparisons of which one alone, were it otherwise, would make a condition hold."""

    def otherwise(flipped: Test) -> Truth:
        return truth_of(condition, lambda test: not found[id(test)] if test is flipped else found[id(test)])

    return tuple(test.text for test in tests(condition) if otherwise(test) is True)


def _branches(tried: tuple[Tried, ...]) -> Iterator[str]:
    for position, one in enumerate(tried):
        last = position == len(tried) - 1
        yield f"{'└' if last else '├'}─ {headline(one)}"
        for step in one.steps:
            yield f"{' ' if last else '│'}  · {sentence(step)}"


def headline(one: Tried) -> str:
    """`hot is false, judged over time: true now, not for long enough (a.tiki:7)`."""
    over = ", judged over time" if one.over_time else ""
    if one.over_time and one.now is True and one.truth is False:
        over += ": it holds now, not for long enough"
    elif one.over_time and one.now is True and one.truth is None:
        over += ": it holds now, for how long is not known"
    elif one.over_time and one.now is not True and one.truth is True:
        over += ": it stays until it clears"
    near = f", for want of {' or of '.join(one.lacks)}" if one.lacks and len(one.steps) > 1 else ""
    return f"{one.clause} is {say(one.truth)}{over}{near} ({one.place})"


def sentence(step: Step) -> str:
    """`memory > 95%: false (memory is 92%), 3% away`."""
    values = ", ".join(f"{name} is {value}" for name, value in step.values.items())
    return f"{step.text}: {say(step.truth)}" + (f" ({values})" if values else "") + _apart(step)


def _apart(step: Step) -> str:
    if not step.margin or step.truth is None:
        return ""
    return f", by {step.margin}" if step.truth else f", {step.margin} away"


def say(truth: Truth) -> str:
    return "unknown" if truth is None else "true" if truth else "false"


def describe(verdict: Verdict) -> str:
    """`shed_load(victim=lowest_priority), by high_memory`."""
    match verdict.kind:
        case "act":
            args = f"({', '.join(f'{name}={value}' for name, value in verdict.args.items())})" if verdict.args else ""
            return f"{verdict.action}{args}, by {verdict.clause}"
        case "consult":
            return f"consult [{', '.join(verdict.actions)}], by {verdict.clause}"
    to = verdict.tier or verdict.action
    why = (
        "a rule that might have decided is unknown"
        if verdict.reason == "unknown"
        else "no rule held and there is no otherwise"
    )
    return f"fallback to {to}: {why}"


def show_constant(term: Constant) -> str:
    if isinstance(term.value, tuple):
        return f"[{', '.join(show(term.type, value) for value in term.value)}]"
    return show(term.type, term.value)
