"""From what all specs say about a point to its plan: names bound, types checked, verdicts made."""

from collections import Counter
from collections.abc import Mapping

from tiki.diagnostics import Place, Report
from tiki.merge import Merged, declared
from tiki.plan import (
    AttributeTerm,
    Constant,
    Exploration,
    FactTerm,
    Formula,
    GuardPlan,
    Plan,
    RulePlan,
    Test,
    Verdict,
    Window,
    signature,
    tests,
)
from tiki.schema import Action, Type
from tiki.syntax import Assignment, Call, Consult, Guard, Listing, Literal, Name, Operand, Operator, Otherwise, Rule
from tiki.terms import Memory, Scope, allowed, lookup, resolve, value_as
from tiki.values import Mark, Value, canonical, closest, comparable

EXPLORE_DAILY = 10  # answers that may explore on a day, unless a spec says otherwise
TIERS = {"request_claude_supervision": "advisor", "request_operator": "operator"}
"""What `fallback` may name beside an action, and the tier that it means."""

_FALLING: Mapping[str, Operator] = {">": ">", ">=": ">", "<": "<", "<=": "<"}
_MIRRORED: Mapping[str, Operator] = {">": "<", ">=": "<=", "<": ">", "<=": ">="}


def plan_of(
    merged: Merged, report: Report, overrides: Mapping[str, Value] | None = None, memory: Memory | None = None
) -> Plan:
    """The plan of one point. overrides: settings as an example sets them. memory: of the check before.
    With errors in `report`, clauses that failed are left out."""
    return _Planner(merged, report, overrides or {}, memory).plan()


def setting_values(merged: Merged, report: Report) -> dict[str, Constant | None]:
    """Every setting of a point, by name; None where it is neither set nor has a default, or is set to what cannot be
    read."""
    point = merged.point
    values: dict[str, Constant | None] = {}
    for name, setting in declared(point).items():
        given = merged.settings.get(name)
        value = None if given is None else _given(given, setting.type, setting.values, report)
        if given is None and setting.default is not None:
            default = canonical(setting.type, setting.default, setting.values)
            assert not isinstance(default, Mark)
            value = default
        values[name] = None if value is None else Constant(setting.type, value, name)
    facts = {fact.name for fact in point.facts}
    for name, given in merged.settings.items():
        if name in facts:
            report.error(
                "TIKI-307",
                f"`{name}` is a fact of {point.name} and cannot be set",
                given.name.place,
                help="give the setting another name",
            )
        elif name not in values:
            operand = given.values[0]
            type_ = _own_type(operand)
            value = _given(given, type_, (), report)
            values[name] = None if value is None else Constant(type_, value, name)
    return values


def unreadable(merged: Merged, settings: Mapping[str, Constant | None]) -> frozenset[str]:
    """The settings that are set, to what cannot be read. Of their uses nothing is said."""
    return frozenset(name for name in merged.settings if name in settings and settings[name] is None)


def _own_type(operand: Operand) -> Type:
    match operand:
        case Literal():
            return operand.type
        case Listing():
            return Type.LIST
    return Type.NAME


def _given(given: Assignment, type_: Type, values: tuple[str, ...], report: Report) -> Value | None:
    if len(given.values) > 1:
        report.error(
            "TIKI-402", f"`{given.name.text}` takes one value", given.place, help="write several as a list: `[a, b]`"
        )
        return None
    return value_as(given.values[0], type_, values, f"`{given.name.text}`", report)


class _Planner:
    def __init__(self, merged: Merged, report: Report, overrides: Mapping[str, Value], memory: Memory | None) -> None:
        self.merged, self.report, self.point = merged, report, merged.point
        self.actions = {action.name: action for action in self.point.actions}
        self.settings, self.overrides = setting_values(merged, report), overrides
        for name, value in overrides.items():
            known = self.settings[name]
            type_ = known.type if known is not None else declared(self.point)[name].type
            self.settings[name] = Constant(type_, value, name)
        if memory is not None:
            memory.begin(self.settings)
        self.resolve = resolve if memory is None else memory.resolve
        self.unreadable = unreadable(merged, self.settings)
        self.facts = {fact.name: FactTerm(fact, index) for index, fact in enumerate(self.point.facts)}
        self.rule_scope = self.scope()
        self.windows: list[Window] = []
        self.alike: Counter[str] = Counter()

    def scope(self, guarded: str | None = None) -> Scope:
        attributes = {attribute.name: attribute for attribute in self.point.attributes}
        mine = {
            attribute.name: AttributeTerm(attribute, index)
            for index, attribute in enumerate(self.point.attributes)
            if guarded in attribute.actions
        }
        return Scope(self.point.name, self.facts, self.settings, mine, attributes, self.unreadable)

    def plan(self) -> Plan:
        fallback = self._fallback()
        rules: list[RulePlan] = []
        guards: list[GuardPlan] = []
        last, last_place = None, None
        for name, clause in self.merged.named():
            match clause:
                case Rule():
                    rule = self._rule(name, clause, len(rules), fallback)
                    if rule is not None:
                        rules.append(rule)
                case Guard():
                    guard = self._guard(name, clause)
                    if guard is not None:
                        guards.append(guard)
                case Otherwise():
                    last = self._choice(clause.choice, name, -1, "otherwise")
                    last_place = clause.place
        unset = not self.merged.clauses and "fallback" not in self.merged.settings
        if last is None:
            last = Verdict("act", "unset", self.point.terminal, reason="unset") if unset else fallback
        return Plan(
            point=self.point,
            settings={name: value.value for name, value in self.settings.items() if value is not None},  # type: ignore[misc]
            rules=tuple(rules),
            guards=tuple(guards),
            windows=tuple(self.windows),
            last=last,
            last_place=last_place,
            fallback=fallback,
            on_timeout=self._on_timeout(),
            timeout=self._timeout(),
            max_error=self._number("max_error"),
            explore=self._explore(),
            cooldown=self._number("cooldown"),
        )

    def _number(self, name: str) -> float | None:
        constant = self.settings[name]
        return None if constant is None else float(constant.value)  # type: ignore[arg-type]

    def _timeout(self) -> float:
        seconds, given = self._number("timeout"), self.merged.settings.get("timeout")
        if seconds is not None and seconds <= 0 and given is not None:
            cure = "write how long a case may wait, such as `5m`; to wait for nobody, choose an action"
            self.report.error("TIKI-402", "a case waits for longer than 0s", given.place, help=cure)
        return 3600.0 if seconds is None else seconds

    def _explore(self) -> Exploration | None:
        percent, budget = self._number("explore"), self._number("explore_budget")
        if percent is None:
            return None
        given = self.merged.settings.get("explore")
        if not 0 <= percent <= 100 and given is not None:
            cure = "write a share from 0% to 100%, such as `2%`"
            self.report.error("TIKI-402", f"`explore` is no share: {percent:g}%", given.place, help=cure)
        daily = EXPLORE_DAILY if budget is None else round(budget * 86400)
        return Exploration(percent / 100, daily) if percent > 0 and daily > 0 else None

    def _fallback(self) -> Verdict:
        given = self.merged.settings.get("fallback")
        name = self._named("fallback", extra=tuple(TIERS)) if given is not None else self.point.terminal
        if name in TIERS:
            return Verdict("fallback", "fallback", tier=TIERS[name], reason="undecided")
        return Verdict("fallback", "fallback", name, reason="undecided")

    def _on_timeout(self) -> str:
        return self._named("on_timeout") if "on_timeout" in self.merged.settings else self.point.terminal

    def _named(self, setting: str, extra: tuple[str, ...] = ()) -> str:
        """The action, or one of `extra`, that a setting names."""
        operand = self.merged.settings[setting].values[0]
        if isinstance(operand, Name) and operand.text in extra:
            return operand.text
        if isinstance(operand, Name) and self._action(operand, extra) is not None:
            return operand.text
        return self.point.terminal

    def _action(self, name: Name, extra: tuple[str, ...] = ()) -> Action | None:
        if name.text in self.actions:
            return self.actions[name.text]
        near = closest(name.text, (*self.actions, *extra))
        cure = "" if near else f"the actions are {', '.join(self.actions)}"
        self.report.error(
            "TIKI-303", f"`{name.text}` is not an action of {self.point.name}", name.place, help=cure, suggestion=near
        )
        return None

    def _rule(self, name: str, rule: Rule, index: int, fallback: Verdict) -> RulePlan | None:
        scope = self.rule_scope
        verdict = self._choice(rule.choice, name, index, "rule")
        condition = self.resolve(rule.condition, scope, self.report)
        duration = self._duration(rule.duration, scope)
        cooldown = self._duration(rule.cooldown, scope)
        if condition is None or verdict is None:
            return None
        window = None
        if rule.duration is not None or rule.clear is not None:
            stay = self._stay(condition, rule.clear, scope) if rule.clear is not None else None
            window = self._window(name, condition, duration or 0.0, stay)
        unknown = Verdict("fallback", "fallback", fallback.action, tier=fallback.tier, index=index, reason="unknown")
        if cooldown is None:
            cooldown = self._number("cooldown")
        return RulePlan(name, condition, window, cooldown, verdict, unknown, rule.place)

    def _duration(self, operand: Operand | None, scope: Scope) -> float | None:
        term = None if operand is None else lookup(operand, scope, self.report)
        if operand is None or term is None:
            return None
        if (
            not isinstance(term, Constant)
            or term.type is not Type.DURATION
            or not isinstance(term.value, float)
            or term.value < 0
        ):
            self.report.error("TIKI-401", "a duration is wanted here", operand.place, help="write `30s`, `5m` or `1h`")
            return None
        return term.value

    def _stay(self, condition: Formula, clear: Operand | None, scope: Scope) -> Test | None:
        """What keeps the rule in force: the fact has not come back to the value of `clear at`."""
        assert clear is not None
        if not isinstance(condition, Test) or condition.operator not in _FALLING:
            self._clear_error("`clear at` goes with one comparison by `<`, `<=`, `>` or `>=`", clear.place)
            return None
        left, operator, right = condition.left, condition.operator, condition.right
        if isinstance(right, FactTerm):
            left, operator, right = right, _MIRRORED[operator], left
        if not isinstance(left, FactTerm) or not isinstance(right, Constant):
            self._clear_error("`clear at` goes with a fact that is compared with a value", clear.place)
            return None
        limit = lookup(clear, scope, self.report)
        if limit is None:
            return None
        listed = isinstance(limit, Constant) and isinstance(limit.value, tuple)
        if not isinstance(limit, Constant) or listed or not comparable(limit.type, left.type):
            self.report.error("TIKI-401", f"`clear at` wants one {left.type.value}", clear.place)
            return None
        outward = _FALLING[operator]
        beyond = limit.value >= right.value if outward == ">" else limit.value <= right.value  # type: ignore[operator]
        if beyond:
            self._clear_error("`clear at` names a value that the condition has not left yet", clear.place)
        return Test(left, outward, limit, f"{left.fact.name} {outward} clear at", clear.place)

    def _clear_error(self, message: str, place: Place) -> None:
        self.report.error("TIKI-405", message, place, help="for example `when memory > 95%, clear at 85%: ACTION`")

    def _window(self, name: str, condition: Formula, duration: float, stay: Test | None) -> int:
        ages = [
            term.fact.max_age
            for test in tests(condition)
            for term in test.terms
            if isinstance(term, FactTerm) and term.fact.max_age is not None
        ]
        max_age = min(ages) if ages else None
        key = f"{signature(condition)} for {duration} stay {stay and signature(stay)} gap {max_age}"
        self.windows.append(Window(name, condition, duration, stay, max_age, f"{key} #{self.alike[key]}"))
        self.alike[key] += 1
        return len(self.windows) - 1

    def _guard(self, name: str, guard: Guard) -> GuardPlan | None:
        action = self._action(guard.action)
        condition = self.resolve(guard.condition, self.scope(guard.action.text), self.report)
        if action is not None and action.name == self.point.terminal:
            self.report.error(
                "TIKI-503",
                f"no guard may forbid `{action.name}`, the terminal action of {self.point.name}",
                guard.action.place,
                help="there must be an action that is always open",
            )
        if action is None or condition is None:
            return None
        return GuardPlan(name, action.name, condition, guard.place)

    def _choice(self, choice: Call | Consult, clause: str, index: int, reason: str) -> Verdict | None:
        is_rule = reason == "rule"
        if isinstance(choice, Consult):
            found = [self._action(name) for name in choice.actions]
            names = [name.text for name in choice.actions]
            for position, name in enumerate(choice.actions):
                if name.text in names[:position]:
                    self.report.error("TIKI-502", f"`{name.text}` stands twice in this list", name.place)
            if None in found:
                return None
            return Verdict(
                "consult", clause, actions=tuple(names), index=index, reason="rule" if is_rule else "otherwise"
            )
        action = self._action(choice.action)
        if action is None:
            return None
        args = self._args(action, choice)
        return Verdict("act", clause, action.name, args, index=index, reason="rule" if is_rule else "otherwise")

    def _args(self, action: Action, call: Call) -> dict[str, Value]:
        if len(call.args) > len(action.args):
            takes = ", ".join(arg.name for arg in action.args) or "no arguments"
            extra = call.args[len(action.args)]
            self.report.error("TIKI-404", f"`{action.name}` takes {takes}", extra.place)
        args: dict[str, Value] = {}
        for arg, operand in zip(action.args, call.args, strict=False):
            setting = self.settings.get(operand.text) if isinstance(operand, Name) else None
            if isinstance(operand, Name) and operand.text in self.facts:
                self.report.error(
                    "TIKI-404", f"`{operand.text}` is a fact; an argument is a value or a setting", operand.place
                )
            elif setting is not None and setting.type is arg.type:
                place, value = self._set_at(operand), setting.value
                items = value if isinstance(value, tuple) else (value,)
                if all(allowed(str(item), arg.values, place, self.report) for item in items):
                    args[arg.name] = value  # type: ignore[assignment]
            elif not (isinstance(operand, Name) and operand.text in self.unreadable):
                read = value_as(operand, arg.type, arg.values, f"the argument `{arg.name}`", self.report)
                if read is not None:
                    args[arg.name] = read
        return args

    def _set_at(self, name: Operand) -> Place:
        """Where the value stands that the name of a setting brings in; the name, where that is in no spec."""
        assert isinstance(name, Name)
        given = None if name.text in self.overrides else self.merged.settings.get(name.text)
        return name.place if given is None else given.values[0].place
