"""From a plan to generated Python: one straight function for deciding, one that also keeps every truth, one for
windows, one a guarded action, and one that reads an event's data.

Two readings of the same rules are generated. The first compares outright; where a fact has no value the comparison
raises NoValue and the second evaluates again in Kleene's logic. So the ordinary case pays nothing for the possibility
of unknown facts.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, NoReturn

from tiki.plan import AttributeTerm, Constant, Every, FactTerm, Formula, Negation, Plan, Term, Test, Verdict, tests
from tiki.schema import Fact, Type
from tiki.trace import Trace
from tiki.values import ABSENT, UNKNOWN, Known, NoValue, Truth, canonical, show, suggest

Facts = tuple[Known, ...]
Held = tuple[Truth, ...]

_EXACT = 2**53
"""Integers up to it are floats exactly."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """The generated functions and their text.
    `guards`: by action; each gives the name of the guard that forbids, or None."""

    python: str
    decide: Callable[[Facts, Held], Verdict]
    explain: Callable[[Facts, Held], Trace]
    samples: Callable[[Facts], tuple[Truth, ...]]
    guards: Mapping[str, Callable[[Facts, Mapping[str, Any]], str | None]]
    facts_from: Callable[[Mapping[str, Any]], Facts]


def compile_plan(plan: Plan) -> Compiled:
    guarded = sorted({guard.action for guard in plan.guards})
    code = _Code()
    _decide(code, plan)
    _decide_unsure(code, plan)
    _explain(code, plan)
    _explain_unsure(code, plan)
    _samples(code, plan)
    for number, action in enumerate(guarded):
        _guard(code, plan, action, number)
    _facts_from(code, plan.point.facts)
    python = code.text()
    scope = _scope(plan)
    # The text is ours; what a user wrote enters it only as the repr() of a checked value.
    exec(compile(python, f"<tiki {plan.point.name}>", "exec"), scope)  # noqa: S102
    return Compiled(
        python=python,
        decide=scope["decide"],
        explain=scope["explain"],
        samples=scope["samples"],
        guards={action: scope[f"guard_{number}"] for number, action in enumerate(guarded)},
        facts_from=scope["facts_from"],
    )


def compile_decide(plan: Plan) -> Callable[[Facts, Held], Verdict]:
    """`decide` alone, as `compile_plan` makes it."""
    code = _Code()
    _decide(code, plan)
    _decide_unsure(code, plan)
    scope = _scope(plan)
    exec(compile(code.text(), f"<tiki {plan.point.name}>", "exec"), scope)  # noqa: S102 - see compile_plan
    found: Callable[[Facts, Held], Verdict] = scope["decide"]
    return found


def _scope(plan: Plan) -> dict[str, Any]:
    facts = plan.point.facts

    def convert(index: int, value: object) -> Known:
        return convert_fact(facts[index], value)

    def complain(data: Mapping[str, Any]) -> None:
        for name in data:
            if name not in {fact.name for fact in facts}:
                unknown_fact(name, facts)

    scope: dict[str, Any] = {
        "A": ABSENT,
        "U": UNKNOWN,
        "NoValue": NoValue,
        "Trace": Trace,
        "PLAN": plan,
        "LAST": plan.last,
        "INF": inf,
        "convert": convert,
        "complain": complain,
    }
    for index, rule in enumerate(plan.rules):
        scope[f"V{index}"], scope[f"U{index}"] = rule.verdict, rule.unknown
    return scope


def convert_fact(fact: Fact, value: object) -> Known:
    """ValueError names the fact and says how its values are written, or in which range they lie."""
    try:
        found = canonical(fact.type, value, fact.values)
    except ValueError as error:
        raise ValueError(f"{fact.name}: {error}") from None
    low, high = fact.range
    if isinstance(found, int | float) and not low <= found <= high:
        bound, limit = ("below", low) if found < low else ("above", high)
        raise ValueError(
            f"{fact.name}: {show(fact.type, found)} is {bound} {show(fact.type, limit)}, the "
            f"{'least' if bound == 'below' else 'most'} that it can be"
        )
    return found


def unknown_fact(name: str, facts: Iterable[Fact]) -> NoReturn:
    known = [fact.name for fact in facts]
    hint = suggest(str(name), known) or f"the facts are {', '.join(known)}"
    raise ValueError(f"`{str(name)[:64]}` is not a fact of this point; {hint}")


class _Code:
    """Lines of Python, indented, and names for what is in between."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth = 0
        self._names = 0

    def __call__(self, line: str) -> None:
        self._lines.append("    " * self._depth + line)
        if line.endswith(":"):
            self._depth += 1

    def end(self, levels: int = 1) -> None:
        self._depth -= levels

    def name(self) -> str:
        self._names += 1
        return f"k{self._names}"

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


_APART = 32
"""Comparisons that a trace lists one by one."""

Leaf = Callable[[Test], str]


def _unpack(code: _Code, facts: tuple[Fact, ...]) -> None:
    if facts:
        code("".join(f"f{index}, " for index in range(len(facts))) + "= facts")


def _term(term: Term) -> str:
    match term:
        case FactTerm():
            return f"f{term.index}"
        case AttributeTerm():
            return f"a{term.index}"
        case Constant():
            return repr(term.value)


def _plainly(test: Test) -> str:
    """A comparison that raises NoValue where a fact has no value."""
    left = _term(test.left)
    if test.operator == "absent":
        return f"({left} is A or ({left} is U and {left} == 0))"
    if test.operator == "holds":
        return f"({left} == True)"
    assert test.right is not None
    right = _term(test.right)
    if test.operator == "in" and not isinstance(test.right, Constant) and not isinstance(test.left, Constant):
        return f"({left} == {left} and {left} in {right})"  # an empty list would not ask a mark on the left
    return f"({left} {test.operator} {right})"


def _kleene_test(test: Test) -> str:
    """A comparison as True, False or None. Absent outranks unknown: it is false whatever the other side may be."""
    valued = [_term(term) for term in test.terms if not isinstance(term, Constant)]
    if test.operator == "absent":
        return f"True if {valued[0]} is A else None if {valued[0]} is U else False"
    if not valued:
        return _plainly(test)
    absent = " or ".join(f"{name} is A" for name in valued)
    unknown = " or ".join(f"{name} is U" for name in valued)
    return f"False if {absent} else None if {unknown} else {_plainly(test)}"


def _plain(formula: Formula, leaf: Leaf) -> str:
    match formula:
        case Test():
            return leaf(formula)
        case Negation(item):
            return f"(not {_plain(item, leaf)})"
        case Every(items):
            return f"({' and '.join(_plain(item, leaf) for item in items)})"
        case _:
            return f"({' or '.join(_plain(item, leaf) for item in formula.items)})"


def _kleene(code: _Code, formula: Formula, leaf: Leaf) -> str:
    """Writes the lines that evaluate a formula in Kleene's logic, left to right,
    and gives the name that holds its truth."""
    name = code.name()
    match formula:
        case Test():
            code(f"{name} = {leaf(formula)}")
        case Negation(item):
            inner = _kleene(code, item, leaf)
            code(f"{name} = None if {inner} is None else not {inner}")
        case _:
            settles = "False" if isinstance(formula, Every) else "True"
            neutral = "True" if isinstance(formula, Every) else "False"
            code(f"{name} = {neutral}")
            levels = 0
            for position, item in enumerate(formula.items):
                if position:
                    code(f"if {name} is not {settles}:")
                    levels += 1
                inner = _kleene(code, item, leaf)
                code(f"if {inner} is not {neutral}:")
                code(f"{name} = {inner}")
                code.end()
                code.end(levels)
                levels = 0
    return name


def _decide(code: _Code, plan: Plan) -> None:
    code("def decide(facts, held):")
    code("try:")
    _unpack(code, plan.point.facts)
    for index, rule in enumerate(plan.rules):
        if rule.window is None:
            code(f"if {_plain(rule.condition, _plainly)}:")
            code(f"return V{index}")
            code.end()
        else:
            _by_truth(code, f"held[{rule.window}]", index)
    code("return LAST")
    code.end()
    code("except NoValue:")
    code("return decide_unsure(facts, held)")
    code.end(2)


def _by_truth(code: _Code, truth: str, index: int, wrap: Callable[[str], str] = lambda verdict: verdict) -> None:
    code(f"if {truth}:")
    code(f"return {wrap(f'V{index}')}")
    code.end()
    code(f"if {truth} is None:")
    code(f"return {wrap(f'U{index}')}")
    code.end()


def _decide_unsure(code: _Code, plan: Plan) -> None:
    code("def decide_unsure(facts, held):")
    _unpack(code, plan.point.facts)
    for index, rule in enumerate(plan.rules):
        truth = _kleene(code, rule.condition, _kleene_test) if rule.window is None else f"held[{rule.window}]"
        _by_truth(code, truth, index)
    code("return LAST")
    code.end()


def _explain(code: _Code, plan: Plan) -> None:
    code("def explain(facts, held):")
    code("try:")
    _unpack(code, plan.point.facts)
    taken: list[str] = []
    for index, rule in enumerate(plan.rules):
        mine = _keep(code, rule.condition, _plainly, taken)
        if rule.window is None:
            code(f"if {_plain(rule.condition, mine)}:")
            code(f"return {_traced(f'V{index}', taken)}")
            code.end()
        else:
            _by_truth(code, f"held[{rule.window}]", index, lambda verdict: _traced(verdict, taken))
    code(f"return {_traced('LAST', taken)}")
    code.end()
    code("except NoValue:")
    code("return explain_unsure(facts, held)")
    code.end(2)


def _explain_unsure(code: _Code, plan: Plan) -> None:
    code("def explain_unsure(facts, held):")
    _unpack(code, plan.point.facts)
    taken: list[str] = []
    for index, rule in enumerate(plan.rules):
        mine = _keep(code, rule.condition, _kleene_test, taken)
        truth = _kleene(code, rule.condition, mine) if rule.window is None else f"held[{rule.window}]"
        _by_truth(code, truth, index, lambda verdict: _traced(verdict, taken))
    code(f"return {_traced('LAST', taken)}")
    code.end()


def _keep(code: _Code, condition: Formula, write: Leaf, taken: list[str]) -> Leaf:
    """Evaluates every comparison of a condition, none skipped, each into a name of its own; gives those names. Many
    that were taken before are put together, for every return lists them all."""
    if len(taken) > _APART:
        code(f"past = ({''.join(name + ', ' for name in taken)})")
        taken[:] = ["*past"]
    mine: dict[int, str] = {}
    for test in tests(condition):
        name = f"t{len(taken)}"
        code(f"{name} = {write(test)}")
        taken.append(name)
        mine[id(test)] = name
    return lambda test: mine[id(test)]


def _traced(verdict: str, taken: list[str]) -> str:
    return f"Trace(PLAN, {verdict}, facts, held, ({''.join(name + ', ' for name in taken)}))"


def _samples(code: _Code, plan: Plan) -> None:
    """The truth of now of each window's condition and of what keeps it true, one after the other."""
    code("def samples(facts):")
    _unpack(code, plan.point.facts)
    names: list[str] = []
    for window in plan.windows:
        names.append(_kleene(code, window.condition, _kleene_test))
        names.append("None" if window.stay is None else _kleene(code, window.stay, _kleene_test))
    code(f"return ({''.join(name + ', ' for name in names)})")
    code.end()


def _guard(code: _Code, plan: Plan, action: str, number: int) -> None:
    guards = [guard for guard in plan.guards if guard.action == action]
    code(f"def guard_{number}(facts, attributes):")
    _unpack(code, plan.point.facts)
    terms = (term for guard in guards for test in tests(guard.condition) for term in test.terms)
    for index, attribute in sorted(
        {(term.index, term.attribute.name) for term in terms if isinstance(term, AttributeTerm)}
    ):
        name = f"a{index}"
        code(f"{name} = attributes.get({attribute!r}, U)")
        code(f"if {name} is None:")
        code(f"{name} = A")
        code.end()
    for guard in guards:
        truth = _kleene(code, guard.condition, _kleene_test)
        code(f"if {truth} is not False:")
        code(f"return {guard.name!r}")
        code.end()
    code("return None")
    code.end()


def _facts_from(code: _Code, facts: tuple[Fact, ...]) -> None:
    """Takes each value as it stands where it is canonical already, and converts it where it is not."""
    code("def facts_from(data):")
    code("get = data.get")
    code("missing = 0")
    for index, fact in enumerate(facts):
        code(f"f{index} = get({fact.name!r}, U)")
        code(f"if {_foreign(fact, f'f{index}')}:")
        code(f"if f{index} is U:")
        code("missing += 1")
        code.end()
        code(f"elif f{index} is None:")
        code(f"f{index} = A")
        code.end()
        if fact.type in (Type.PERCENT, Type.NUMBER, Type.DURATION, Type.RATE):
            low, high = max(fact.range[0], -_EXACT), min(fact.range[1], _EXACT)
            code(f"elif f{index}.__class__ is int and {low!r} <= f{index} <= {high!r}:")
            code(f"f{index} = float(f{index})")
            code.end()
        code("else:")
        code(f"f{index} = convert({index}, f{index})")
        code.end(2)
    code(f"if len(data) + missing != {len(facts)}:")
    code("complain(data)")
    code.end()
    code(f"return ({''.join(f'f{index}, ' for index in range(len(facts)))})")
    code.end()


def _foreign(fact: Fact, name: str) -> str:
    match fact.type:
        case Type.COUNT | Type.BYTES:
            return f"{name}.__class__ is not int or not {_within(fact, name)}"
        case Type.NAME:
            return f"{name}.__class__ is not str" + (f" or {name} not in {fact.values!r}" if fact.values else "")
        case Type.FLAG:
            return f"{name}.__class__ is not bool"
        case Type.LIST:
            return "True"
        case _:
            return f"{name}.__class__ is not float or not {_within(fact, name)}"


def _within(fact: Fact, name: str) -> str:
    """A comparison that is true inside the fact's range; neither infinite nor not a number is."""
    low, high = fact.range
    below = "-INF <" if low == -inf else f"{low!r} <="
    above = "< INF" if high == inf else f"<= {high!r}"
    return f"{below} {name} {above}"
