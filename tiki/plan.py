"""The resolved tree: every name bound to a fact, an attribute or a constant, every choice a verdict.
What is compiled."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from tiki.diagnostics import Place
from tiki.schema import Attribute, Fact, Point, Type
from tiki.syntax import Operator
from tiki.values import Value


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What the rules say; one object a clause, made beforehand. Not to be changed, its `args` included.

    kind: `act` (do `action` with `args`), `consult` (let a policy choose among `actions`) or `fallback` (go to `tier`,
    or do `action`).
    clause: the clause that decided; `fallback` where none did; `unset` where no spec concerns the point. index: its
    position among the rules, of a fallback that of the unknown rule, else -1. reason: `rule`, `otherwise`, `unset`,
    `unknown` (a rule that might have decided could not be told) or `undecided` (none held and there is no `otherwise`).
    """

    kind: Literal["act", "consult", "fallback"]
    clause: str
    action: str | None = None
    args: dict[str, Any] = {}
    actions: tuple[str, ...] = ()
    tier: str | None = None
    index: int = -1
    reason: Literal["rule", "otherwise", "unset", "unknown", "undecided"] = "rule"


@dataclass(frozen=True, slots=True)
class FactTerm:
    fact: Fact
    index: int

    @property
    def type(self) -> Type:
        return self.fact.type


@dataclass(frozen=True, slots=True)
class AttributeTerm:
    attribute: Attribute
    index: int

    @property
    def type(self) -> Type:
        return self.attribute.type


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal, or the value of a setting. A tuple stands for a list, of elements of `type`."""

    type: Type
    value: Value | tuple[Value, ...]
    setting: str | None = None


Term = FactTerm | AttributeTerm | Constant


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison. `operator` may also be `absent` or `holds`, which have no right side."""

    left: Term
    operator: Operator | Literal["absent", "holds"]
    right: Term | None
    text: str
    place: Place = field(compare=False)

    @property
    def terms(self) -> tuple[Term, ...]:
        return (self.left,) if self.right is None else (self.left, self.right)


@dataclass(frozen=True, slots=True)
class Negation:
    item: "Formula"


@dataclass(frozen=True, slots=True)
class Every:
    items: tuple["Formula", ...]


@dataclass(frozen=True, slots=True)
class Any_:
    items: tuple["Formula", ...]


Formula = Test | Negation | Every | Any_


@dataclass(frozen=True, slots=True)
class Window:
    """A condition that is judged over time.

    duration: seconds that it must have held, 0 without `for`. stay: what keeps it true once it held, from `clear at`.
    max_age: the longest gap (seconds) between samples; None: none is too long. key: names condition, duration, stay
    and gap; another key starts cold.
    """

    clause: str
    condition: Formula
    duration: float
    stay: Test | None
    max_age: float | None
    key: str


@dataclass(frozen=True, slots=True)
class RulePlan:
    """`window`: index of the window whose truth is the rule's; None: the condition's truth of now.
    cooldown in seconds."""

    name: str
    condition: Formula
    window: int | None
    cooldown: float | None
    verdict: Verdict
    unknown: Verdict
    place: Place


@dataclass(frozen=True, slots=True)
class GuardPlan:
    name: str
    action: str
    condition: Formula
    place: Place


@dataclass(frozen=True, slots=True)
class Exploration:
    """share: of the policy's answers (above 0, at most 1) that take another candidate than the best. daily: how many
    may do so within 24 hours."""

    share: float
    daily: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that the compiler needs to know of one point under one bundle.
    `last`: the verdict where no rule held."""

    point: Point
    settings: Mapping[str, Value]
    rules: tuple[RulePlan, ...]
    guards: tuple[GuardPlan, ...]
    windows: tuple[Window, ...]
    last: Verdict
    last_place: Place | None
    fallback: Verdict
    on_timeout: str
    timeout: float
    max_error: float | None
    explore: Exploration | None
    cooldown: float | None


def tests(formula: Formula) -> tuple[Test, ...]:
    """The comparisons of a formula from left to right."""
    match formula:
        case Test():
            return (formula,)
        case Negation(item):
            return tests(item)
        case Every(items) | Any_(items):
            return tuple(test for item in items for test in tests(item))


def signature(formula: Formula) -> str:
    """A formula as text that is the same exactly where its meaning is, the values of settings included."""
    match formula:
        case Negation(item):
            return f"not({signature(item)})"
        case Every(items):
            return f"all({', '.join(map(signature, items))})"
        case Any_(items):
            return f"any({', '.join(map(signature, items))})"
        case Test():
            return f"{_signed(formula.left)} {formula.operator} {_signed(formula.right)}"


def _signed(term: Term | None) -> str:
    match term:
        case FactTerm():
            return term.fact.name
        case AttributeTerm():
            return term.attribute.name
        case Constant():
            return f"{term.type.value} {term.value!r}"
    return ""
