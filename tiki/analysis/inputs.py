"""One concrete input: what each fact is, each window, and each attribute of a candidate. And the truth of a formula on
it, in plain Python: every example is checked by it and by the compiled rules before anybody sees it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tiki.compile import Facts, Held
from tiki.kleene import compared, truth_of
from tiki.plan import AttributeTerm, Constant, FactTerm, Formula, Plan, Term, Window
from tiki.schema import Point, Type
from tiki.trace import say
from tiki.values import UNKNOWN, Known, Truth, show

Attributes = Mapping[str, Known]
_NOTHING: Attributes = {}


@dataclass(frozen=True)
class Stretch:
    """What the facts were until so many seconds ago."""

    until: float
    facts: Mapping[str, Known]


@dataclass(frozen=True)
class Input:
    """facts: by name, what is missing is unknown. held: the truth of every window, by key; empty where each has the
    truth of its condition now. attributes: of the candidates, by action and name, what is missing is unknown.
    history: what led to it, the oldest first, where that is known."""

    facts: Mapping[str, Known] = field(default_factory=dict)
    held: Mapping[str, Truth] = field(default_factory=dict)
    attributes: Mapping[str, Attributes] = field(default_factory=dict)
    history: tuple[Stretch, ...] = ()

    def truth(self, formula: Formula, action: str = "") -> Truth:
        """Kleene's truth of a formula; action: whose candidate it is about."""
        facts, attributes = self.facts, self.attributes.get(action, _NOTHING)
        return truth_of(formula, lambda test: compared(test, [_value(term, facts, attributes) for term in test.terms]))

    def over(self, window: Window) -> Truth:
        return self.held[window.key] if self.held else self.truth(window.condition)

    def facts_of(self, point: Point) -> Facts:
        """As `Program.decide` takes them."""
        return tuple(self.facts.get(fact.name, UNKNOWN) for fact in point.facts)

    def held_of(self, plan: Plan) -> Held:
        return tuple(self.over(window) for window in plan.windows)

    def possible(self, window: Window) -> bool:
        """Whether samples before can give the window this truth now: see `tiki.windows`."""
        now, stay = self.truth(window.condition), False if window.stay is None else self.truth(window.stay)
        over = (now,) if window.duration == 0 else _AT_MOST[now]
        return self.over(window) in {_either(one, kept) for one in over for kept in _AT_MOST[stay]}

    def text(self, *plans: Plan) -> str:
        """In TIKI: `memory=97% gpu=absent`; facts that do not matter are left out and may be unknown. What time makes
        of a rule is added where it is another than its condition now. Two plans: the old one and the new one."""
        kinds = {fact.name: fact.type for plan in plans for fact in plan.point.facts}
        words = [_word(name, kind, self.facts) for name, kind in kinds.items() if name in self.facts]
        types = {attribute.name: attribute.type for plan in plans for attribute in plan.point.attributes}
        for attributes in self.attributes.values():
            words += [f"{name}={show(types[name], value)}" for name, value in attributes.items()]
        remarks = [*self._over_time(plans), *self._before(kinds)]
        return (" ".join(words) or "nothing known") + (f" ({', '.join(remarks)})" if remarks else "")

    def _over_time(self, plans: Sequence[Plan]) -> Iterator[str]:
        """What time makes of the rules: `rule 1 for 30s is true in the old, unknown in the new`."""
        said: dict[str, dict[str, Truth]] = {}
        late: set[str] = set()
        for plan, whose in zip(plans, ("old", "new"), strict=False):
            for window in plan.windows:
                lasting = f" for {show(Type.DURATION, window.duration)}" if window.duration else ""
                label = f"{window.clause}{lasting}"
                said.setdefault(label, {})[whose] = self.over(window)
                if self.over(window) is not self.truth(window.condition):
                    late.add(label)
        for label, truths in said.items():
            if label in late and (len(plans) == 1 or (len(truths) == len(plans) and len(set(truths.values())) == 1)):
                yield f"{label} is {say(next(iter(truths.values())))} over time"
            elif label in late:
                yield f"{label} is {', '.join(f'{say(truth)} in the {whose}' for whose, truth in truths.items())}"

    def _before(self, kinds: Mapping[str, Type]) -> Iterator[str]:
        """What the facts were, where they were not as they are."""
        now = {name: _word(name, kind, self.facts) for name, kind in kinds.items()}
        for stretch in self.history:
            then = [_word(name, kind, stretch.facts) for name, kind in kinds.items()]
            changed = [word for word, name in zip(then, kinds, strict=True) if word != now[name]]
            yield f"until {show(Type.DURATION, stretch.until)} ago {' '.join(changed) or 'as now'}"


def _word(name: str, kind: Type, facts: Mapping[str, Known]) -> str:
    return f"{name}={show(kind, facts[name])}" if name in facts else f"{name} unknown"


_AT_MOST: Mapping[Truth, tuple[Truth, ...]] = {True: (True, False, None), None: (None, False), False: (False,)}
"""What time can make of a truth: true needs to have been so, false is so now."""


def _either(left: Truth, right: Truth) -> Truth:
    return True if left is True or right is True else None if left is None or right is None else False


def _value(term: Term, facts: Mapping[str, Known], attributes: Attributes) -> Any:
    match term:
        case FactTerm():
            return facts.get(term.fact.name, UNKNOWN)
        case AttributeTerm():
            return attributes.get(term.attribute.name, UNKNOWN)
        case Constant():
            return term.value
