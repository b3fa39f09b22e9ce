"""Why a decision fell as it did: every comparison that was made, with its values, truth and source line."""

from collections.abc import Iterator
from typing import Any

import msgspec

from tiki.plan import Constant, FactTerm, Plan, RulePlan, Test, Verdict, tests
from tiki.values import Known, Truth, show


class Step(msgspec.Struct, frozen=True):
    """One comparison. values: what its facts and settings stood for, as text with units; place: `path:line`."""

    text: str
    values: dict[str, str]
    truth: Truth
    place: str


class Tried(msgspec.Struct, frozen=True):
    """One rule that was tried. truth: of the rule;
    where it is judged over time, that differs from its comparisons of now."""

    clause: str
    truth: Truth
    over_time: bool
    place: str
    steps: tuple[Step, ...]


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

    def _tried(self) -> Iterator[Tried]:
        start = 0
        for index, rule in enumerate(self.plan.rules):
            made = tests(rule.condition)
            if start + len(made) > len(self.truths):
                return
            truths = self.truths[start : start + len(made)]
            start += len(made)
            steps = tuple(self._step(test, truth) for test, truth in zip(made, truths, strict=True))
            yield Tried(rule.name, self._truth(rule, index), rule.window is not None, str(rule.place), steps)

    def _truth(self, rule: RulePlan, index: int) -> Truth:
        if rule.window is not None:
            return self.held[rule.window]
        if self.verdict.index != index:
            return False
        return True if self.verdict.reason == "rule" else None

    def _step(self, test: Test, truth: Truth) -> Step:
        return Step(test.text, dict(self._named(test)), truth, str(test.place))

    def _named(self, test: Test) -> Iterator[tuple[str, str]]:
        for term in test.terms:
            match term:
                case FactTerm():
                    yield term.fact.name, show(term.type, self.facts[term.index])
                case Constant(setting=str(name)):
                    yield name, show_constant(term)

    @property
    def place(self) -> str:
        """Where the deciding clause stands; empty where no clause decided."""
        if self.verdict.reason in ("rule", "unknown"):
            return str(self.plan.rules[self.verdict.index].place)
        return str(self.plan.last_place) if self.plan.last_place and self.verdict.reason == "otherwise" else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: point, kind, clause, action, args, actions, tier, reason, place,
        rules with their comparisons."""
        verdict = msgspec.to_builtins(self.verdict)
        del verdict["index"]
        return {"point": self.plan.point.name, **verdict, "place": self.place, "rules": msgspec.to_builtins(self.tried)}

    def text(self) -> str:
        """A tree of plain text."""
        where = f" ({self.place})" if self.place else ""
        lines = [f"{self.plan.point.name}: {describe(self.verdict)}{where}"]
        tried = self.tried
        for position, rule in enumerate(tried):
            last = position == len(tried) - 1
            over = ", judged over time" if rule.over_time else ""
            lines.append(f"{'└' if last else '├'}─ {rule.clause} is {say(rule.truth)}{over} ({rule.place})")
            lines += [f"{' ' if last else '│'}  · {_sentence(step)}" for step in rule.steps]
        return "\n".join(lines)


def _sentence(step: Step) -> str:
    values = ", ".join(f"{name} is {value}" for name, value in step.values.items())
    return f"{step.text}: {say(step.truth)}" + (f" ({values})" if values else "")


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
