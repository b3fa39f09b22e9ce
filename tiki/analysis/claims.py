"""What can be asked about rules: claims about one input, put together freely. Plain data, read by the encoding and by
the check of an example alike."""

from collections.abc import Hashable
from dataclasses import dataclass

from tiki.plan import Formula, GuardPlan, Plan, Window
from tiki.values import Truth


@dataclass(frozen=True, slots=True)
class Is:
    """A formula has this truth. action: whose candidate it is about, where it is the condition of a guard."""

    formula: Formula
    truth: Truth
    action: str = ""


@dataclass(frozen=True, slots=True)
class Over:
    """A window has this truth."""

    window: Window
    truth: Truth


@dataclass(frozen=True, slots=True)
class Reaches:
    """The search comes to the rule of this index, all before it being false; `len(plan.rules)`: to the end."""

    plan: Plan
    index: int


@dataclass(frozen=True, slots=True)
class Sure:
    """No fact that the rules mention is unknown, nor any attribute of the actions; `known`: nor absent.
    facts: of these alone, by name."""

    actions: tuple[str, ...] = ()
    known: bool = False
    facts: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class All:
    claims: tuple["Claim", ...]


@dataclass(frozen=True, slots=True)
class Some:
    claims: tuple["Claim", ...]


@dataclass(frozen=True, slots=True)
class Not:
    claim: "Claim"


Claim = Is | Over | Reaches | Sure | All | Some | Not


def rule_is(plan: Plan, index: int, truth: Truth) -> Claim:
    """The rule has this truth; of one that is judged over time, that of its window."""
    rule = plan.rules[index]
    return Is(rule.condition, truth) if rule.window is None else Over(plan.windows[rule.window], truth)


def decides(plan: Plan, index: int) -> Claim:
    """The rule of this index decides: it is true and all before it are false.
    `len(plan.rules)`: no rule holds, and `otherwise` or the fallback decides."""
    reached = Reaches(plan, index)
    return reached if index == len(plan.rules) else All((reached, rule_is(plan, index, True)))


def stops(plan: Plan, index: int) -> Claim:
    """The rule of this index is unknown and ends the search."""
    return All((Reaches(plan, index), rule_is(plan, index, None)))


def forbids(guard: GuardPlan) -> Claim:
    """The guard forbids the candidate: its condition is true or unknown."""
    return Not(Is(guard.condition, False, guard.action))


def passes(plan: Plan, action: str) -> Claim:
    """No guard forbids the candidate of this action."""
    return All(tuple(Is(guard.condition, False, action) for guard in plan.guards if guard.action == action))


def key(claim: Claim) -> Hashable:
    """The same for two claims that say the same of the same formulas, windows and plans, as long as these live."""
    match claim:
        case Is(formula, truth, action):
            return (id(formula), truth, action)
        case Over(window, truth):
            return (window.key, truth)
        case Reaches(plan, index):
            return (Reaches, id(plan), index)
        case All(claims) | Some(claims):
            return (type(claim), *map(key, claims))
        case Not(inner):
            return (Not, key(inner))
        case Sure():
            return claim
