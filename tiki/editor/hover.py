"""What a name is, in a few lines of Markdown: type, unit, what it is for, and the value that is in force."""

from collections.abc import Iterator, Sequence

from tiki.diagnostics import Report, Span
from tiki.editor.engine import Analysis
from tiki.editor.names import Kind, Mark, mark_at
from tiki.merge import declared
from tiki.plan import Constant, FactTerm, Plan, Test, tests
from tiki.resolve import TIERS, setting_values
from tiki.schema import Action, Attribute, Fact, Point, Type
from tiki.syntax import Assignment
from tiki.values import HOW_TO_WRITE, Value, show

_MOST = 8
"""Lines about one thing; more hide the text below."""

_TIER = {
    "advisor": "A cloud model is asked; what it does not settle, an operator decides.",
    "operator": "A person decides on the dashboard.",
}


def hover(analysis: Analysis, path: str, line: int, column: int) -> tuple[str, Span] | None:
    """Markdown about the name at a place, and where that name stands."""
    mark = mark_at(analysis, path, line, column)
    if mark is None:
        return None
    lines = list(dict.fromkeys(text for text in describe(analysis, mark) if text))
    return ("\n\n".join(lines), mark.place.span) if lines else None


def describe(analysis: Analysis, mark: Mark) -> Iterator[str]:
    points = [analysis.points[name] for name in mark.points if name in analysis.points]
    match mark.kind:
        case Kind.FACT:
            for point in points[:_MOST]:
                yield from _fact(point, next(fact for fact in point.facts if fact.name == mark.text))
                yield from _limits(analysis.groups[point.name].plans[point.name], mark.text)
        case Kind.SETTING:
            yield from _setting(analysis, points, mark.text)
        case Kind.ATTRIBUTE:
            for point in points[:1]:
                yield from _attribute(next(one for one in point.attributes if one.name == mark.text))
        case Kind.ACTION:
            for point in points[:_MOST]:
                yield from _action(point, mark.text)
        case Kind.CLAUSE:
            yield f"**{mark.text}**: a clause of {', '.join(f'`{name}`' for name in mark.points)}"
        case Kind.TIER:
            yield f"**{mark.text}**: tier {TIERS[mark.text]}"
            yield _TIER[TIERS[mark.text]]
        case Kind.POINT | Kind.TITLE:
            for point in points[:_MOST]:
                yield f"**{point.name}**, version {point.version}: {point.doc}"
                yield _trigger(point)
        case Kind.VALUE:
            yield ""


def typed(type_: Type, values: Sequence[str] = ()) -> str:
    """`percent, written as `80%``, with what it may be."""
    return (
        f"one of {', '.join(f'`{value}`' for value in values)}"
        if values
        else f"{type_.value}, written as {HOW_TO_WRITE[type_]}"
    )


def _fact(point: Point, fact: Fact) -> Iterator[str]:
    yield f"**{fact.name}**: fact of `{point.name}`, {typed(fact.type, fact.values)}"
    yield _sentence(fact.doc)
    if fact.max_age is not None:
        yield f"Unknown when older than {show(Type.DURATION, float(fact.max_age))}."


def _limits(plan: Plan, name: str) -> Iterator[str]:
    """What a fact is compared with now, rule by rule."""
    clauses = [(one.name, one.condition) for one in plan.rules] + [(one.name, one.condition) for one in plan.guards]
    found = [
        f"- `{clause}`: {_compared(test, name)}"
        for clause, condition in clauses
        for test in tests(condition)
        if test.right is not None and any(isinstance(term, FactTerm) and term.fact.name == name for term in test.terms)
    ]
    if found:
        yield "\n".join(["Compared in", *found[:_MOST], *(["- ..."] if len(found) > _MOST else [])])


def _compared(test: Test, name: str) -> str:
    values = [
        f"{term.setting} is {value_of(term)}"
        for term in test.terms
        if isinstance(term, Constant) and term.setting is not None
    ]
    return f"`{test.text}`" + (f", where {' and '.join(values)}" if values else "")


def _setting(analysis: Analysis, points: Sequence[Point], name: str) -> Iterator[str]:
    if name == "decides":
        yield "**decides**: the decision points that this spec is about"
        return
    for point in points[:_MOST]:
        known = declared(point).get(name)
        given = analysis.merged(point.name).settings.get(name)
        constant = setting_values(analysis.merged(point.name), Report()).get(name)
        type_ = known.type if known is not None else constant.type if constant is not None else Type.NAME
        whose = f"setting of `{point.name}`" if known is not None else "setting of this spec's own"
        yield f"**{name}**: {whose}, {typed(type_, known.values if known else ())}"
        yield _sentence(known.doc) if known is not None else ""
        yield f"For `{point.name}`: {in_force(given, constant)}"


def in_force(given: Assignment | None, constant: Constant | None) -> str:
    """The value of a setting now and where it is from."""
    if constant is None:
        return "not set" if given is None else f"not readable at {given.place}"
    return f"`{value_of(constant)}`, {'by default' if given is None else f'set at {given.place}'}"


def _attribute(attribute: Attribute) -> Iterator[str]:
    yield f"**{attribute.name}**: attribute of candidates, {typed(attribute.type, attribute.values)}"
    yield _sentence(attribute.doc)
    yield f"Carried by candidates of {', '.join(f'`{name}`' for name in attribute.actions)}."


def _action(point: Point, name: str) -> Iterator[str]:
    action: Action | None = next((one for one in point.actions if one.name == name), None)
    if action is None:
        return
    args = f"({', '.join(arg.name for arg in action.args)})" if action.args else ""
    terminal = ", the terminal one" if name == point.terminal else ""
    yield f"**{name}**{args}: action of `{point.name}`{terminal}"
    yield _sentence(action.doc)
    if action.args:
        yield "\n".join(f"- `{arg.name}`: {arg.doc} ({typed(arg.type, arg.values)})" for arg in action.args)
    if action.undo is not None:
        yield f"Taken back by `{action.undo}`."


def _trigger(point: Point) -> str:
    return "Asks at every event." if point.trigger == "every" else "A rule fires when it begins to hold."


def value_of(constant: Constant) -> str:
    value = constant.value
    if isinstance(value, tuple) and constant.type is not Type.LIST:
        return f"[{', '.join(show(constant.type, item) for item in value)}]"
    shown: Value = value  # type: ignore[assignment]
    return show(constant.type, shown)


def _sentence(doc: str) -> str:
    return doc[:1].upper() + doc[1:]
