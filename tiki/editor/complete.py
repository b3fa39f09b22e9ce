"""What may be written at the cursor: names of the decision points that the spec is about, and words of the language."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tiki.diagnostics import Report, Span
from tiki.editor import cursor
from tiki.editor.engine import Analysis
from tiki.editor.hover import in_force, typed
from tiki.editor.names import Kind, placed_at
from tiki.merge import LANGUAGE, Placed, declared
from tiki.plan import Constant
from tiki.resolve import TIERS, setting_values
from tiki.schema import Action, Attribute, Fact, Point, Type
from tiki.values import show

UNITS = {
    Type.PERCENT: ("%",),
    Type.DURATION: ("s", "m", "h", "d", "ms"),
    Type.BYTES: ("GiB", "MiB", "GB", "MB", "TiB", "TB"),
    Type.RATE: ("_per_minute", "_per_second", "_per_hour", "_per_day"),
}
_USUAL = {
    Type.PERCENT: ("80%", "90%"),
    Type.DURATION: ("30s", "5m", "1h"),
    Type.BYTES: ("8GiB",),
    Type.RATE: ("5_per_minute",),
    Type.FLAG: ("true", "false"),
}
_ORDERED = (Type.PERCENT, Type.COUNT, Type.NUMBER, Type.DURATION, Type.BYTES, Type.RATE)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Item:
    """One proposal. `kind` is None for words of the language. text: what is written, by default the label."""

    label: str
    kind: Kind | None
    detail: str = ""
    doc: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """Proposals, best first, and the span that they replace."""

    items: tuple[Item, ...]
    span: Span


def complete(analysis: Analysis, path: str, lines: Sequence[str], line: int, column: int) -> Completion | None:
    """Proposals for a place, counted from 1. lines: of the text as it is now; the analysis may be of an older one."""
    if not 1 <= line <= len(lines) or (path.endswith(".md") and not _in_fence(lines[: line - 1])):
        return None
    start, word = cursor.word_at(lines[line - 1], column)
    found = cursor.place_of(lines, line, column)
    placed = placed_at(analysis, path, line)
    if isinstance(found, cursor.Heading):
        return Completion(tuple(_titles(analysis)), Span(line, 1, line, len(lines[line - 1]) + 1))
    if found is None or placed is None:
        return None
    items = {item.label: item for item in reversed(list(_Proposals(analysis, placed, word).at(found)))}
    return Completion(tuple(reversed(items.values())), Span(line, start, line, column))


def _in_fence(above: Sequence[str]) -> bool:
    """Whether a `tiki` fence of a Markdown file is open below these lines."""
    opened: tuple[str, str] | None = None
    for line in above:
        found = re.fullmatch(r" {0,3}(`{3,}|~{3,})[ \t]*(\S*).*", line)
        if found is None:
            continue
        if opened is None:
            opened = found[1], found[2]
        elif found[1].startswith(opened[0]) and not found[2]:
            opened = None
    return opened is not None and opened[1] == "tiki"


def _titles(analysis: Analysis) -> Iterator[Item]:
    for point in analysis.points.values():
        titles = point.titles or (f"{point.manager.upper()} {point.name.partition('.')[2].replace('_', ' ').title()}",)
        for title in titles:
            yield Item(f"## {title} Spec", Kind.TITLE, point.name, point.doc)


class _Proposals:
    """For one spec. word: what stands before the cursor."""

    def __init__(self, analysis: Analysis, placed: Placed, word: str) -> None:
        self.analysis, self.placed, self.word = analysis, placed, word
        self.points = [analysis.points[name] for name in placed.points]
        self.settings = {point.name: setting_values(analysis.merged(point.name), Report()) for point in self.points}

    def at(self, place: cursor.PlaceOf) -> Iterator[Item]:
        match place:
            case cursor.Start(named):
                yield from self._start(named)
            case cursor.Given(setting, before):
                yield from (item for item in self._given(setting) if item.label not in before)
            case cursor.Left(guarded):
                yield from self._names(guarded)
                yield from _words("not")
            case cursor.Compare(left, guarded):
                yield from self._operators(self._type(left, guarded), guarded is not None)
            case cursor.Right():
                yield from self._right(place)
            case cursor.Joined(guard):
                yield from _words("and", "or", *(() if guard else ("for", ", clear at", ", cooldown", ":")))
            case cursor.Timing(comma):
                yield from _words(*(("clear at", "cooldown") if comma else (", clear at", ", cooldown", ":")))
            case cursor.Duration():
                yield from self._values(Type.DURATION)
            case cursor.Words(words):
                yield from _words(*words)
            case cursor.Choice():
                yield from self._actions()
                yield Item("consult", None, "let a policy, an advisor or an operator choose", text="consult [")
            case cursor.ActionName(listed, guard):
                terminal = {point.terminal for point in self.points} if guard else set()
                yield from (item for item in self._actions() if item.label not in listed and item.label not in terminal)
            case cursor.Argument(action, index):
                yield from self._argument(action, index)
            case cursor.Cell():
                yield from self._cell(place)

    def _start(self, named: str | None) -> Iterator[Item]:
        if named is not None:
            yield from self._given(named)
        yield from _words("when", "never", "otherwise:" if named is None else "otherwise")
        if named is None:
            set_here = {name for point in self.points for name in self.analysis.merged(point.name).settings}
            yield Item("decides", Kind.SETTING, "the points that this spec is about", text="decides: ")
            for setting in self._each(lambda point: (*point.settings, *LANGUAGE)):
                if setting.name not in set_here or setting.name.startswith(self.word or "\0"):
                    detail = typed(setting.type, setting.values)
                    yield Item(setting.name, Kind.SETTING, detail, setting.doc, f"{setting.name}: ")

    def _given(self, name: str) -> Iterator[Item]:
        if name == "decides":
            manager = self.placed.spec.heading.manager.lower()
            yield from (
                Item(point.name, Kind.POINT, f"version {point.version}", point.doc)
                for point in self.analysis.points.values()
                if point.manager == manager
            )
        elif name in ("fallback", "on_timeout"):
            if name == "fallback":
                yield from (Item(word, Kind.TIER, f"tier {tier}") for word, tier in TIERS.items())
            yield from self._actions()
        else:
            for setting in self._each(lambda point: declared(point).values()):
                if setting.name == name:
                    if setting.default is not None:
                        yield Item(setting.default, Kind.VALUE, "the default")
                    yield from self._literals(setting.type, setting.values)

    def _names(self, guarded: str | None) -> Iterator[Item]:
        yield from map(_fact, self._each(lambda point: point.facts))
        if guarded is not None:
            attributes = self._each(lambda point: point.attributes)
            yield from (_attribute(one) for one in attributes if guarded in one.actions)
        yield from self._set(lambda type_: True)

    def _operators(self, type_: Type | None, guard: bool) -> Iterator[Item]:
        if type_ in _ORDERED:
            yield from _words(">", ">=", "<", "<=")
        if type_ is not Type.LIST:
            yield from _words("==", "!=")
        if type_ is Type.FLAG:
            yield from _words("and", "or", *(() if guard else ("for", ":")))
        yield from _words("in", "is absent")

    def _right(self, place: cursor.Right) -> Iterator[Item]:
        type_ = self._type(place.left, place.guarded)
        if type_ is None:
            return
        if place.listed and not place.inside:
            yield from self._set(lambda other: other is Type.LIST)
            yield from (_fact(fact) for fact in self._each(lambda point: point.facts) if fact.type is Type.LIST)
            yield from _words("[")
            return
        values = self._declared_values(place.left)
        yield from self._values(type_, values)
        if not place.inside:
            facts = self._each(lambda point: point.facts)
            yield from (_fact(fact) for fact in facts if fact.type is type_ and fact.name != place.left)

    def _argument(self, action: str, index: int) -> Iterator[Item]:
        for one in self._each(lambda point: point.actions):
            if one.name == action and index < len(one.args):
                arg = one.args[index]
                yield from (replace(item, doc=arg.doc) for item in self._values(arg.type, arg.values))

    def _cell(self, place: cursor.Cell) -> Iterator[Item]:
        facts = {fact.name: fact for fact in self._each(lambda point: point.facts)}
        if place.header:
            yield from (_fact(fact) for fact in facts.values() if fact.name not in place.columns)
            yield from (item for item in self._set(lambda type_: True) if item.label not in place.columns)
            yield from _words("decides")
        elif place.index == len(place.columns) - 1:
            yield from self._actions()
            yield from (Item(word, Kind.TIER, f"tier {tier}") for word, tier in TIERS.items())
            yield from _words("consult", "fallback")
        elif place.index < len(place.columns):
            name = place.columns[place.index]
            type_ = self._type(name, None)
            if type_ is not None:
                yield from self._literals(type_, self._declared_values(name))
            yield from _words(*(("absent", "unknown") if name in facts else ()))

    def _values(self, type_: Type, values: tuple[str, ...] = ()) -> Iterator[Item]:
        """Values of a type: settings of it first, for a threshold is better named."""
        yield from self._set(lambda other: other is type_)
        yield from self._literals(type_, values)

    def _literals(self, type_: Type, values: tuple[str, ...] = ()) -> Iterator[Item]:
        number = re.match(r"-?\d+(?:\.\d+)?", self.word)
        if number is not None and type_ in UNITS:
            yield from (Item(f"{number[0]}{unit}", Kind.VALUE, type_.value) for unit in UNITS[type_])
            return
        yield from (Item(show(Type.NAME, value), Kind.VALUE, type_.value) for value in values)
        yield from (Item(text, Kind.VALUE, type_.value) for text in _USUAL.get(type_, ()) if not values)

    def _set(self, wanted: Callable[[Type], bool]) -> Iterator[Item]:
        """Settings that have a value, of the wanted types."""
        for point in self.points:
            given = self.analysis.merged(point.name).settings
            docs = declared(point)
            for name, constant in self.settings[point.name].items():
                if constant is not None and wanted(constant.type) and not _of_language(name):
                    doc = docs[name].doc if name in docs else ""
                    yield Item(name, Kind.SETTING, f"{constant.type.value}: {in_force(given.get(name), constant)}", doc)

    def _actions(self) -> Iterator[Item]:
        yield from map(_action, self._each(lambda point: point.actions))

    def _type(self, name: str, guarded: str | None) -> Type | None:
        for point in self.points:
            types = {one.name: one.type for one in point.attributes if guarded is None or guarded in one.actions}
            types |= {fact.name: fact.type for fact in point.facts}
            if name in types:
                return types[name]
        constants = [settings.get(name) for settings in self.settings.values()]
        return next((one.type for one in constants if isinstance(one, Constant)), None)

    def _declared_values(self, name: str) -> tuple[str, ...]:
        for point in self.points:
            values = {one.name: one.values for one in point.attributes}
            values |= {setting.name: setting.values for setting in point.settings}
            values |= {fact.name: fact.values for fact in point.facts}
            if name in values:
                return values[name]
        return ()

    def _each(self, of: Callable[[Point], Iterable[T]]) -> Iterator[T]:
        for point in self.points:
            yield from of(point)


def _of_language(name: str) -> bool:
    return name in {setting.name for setting in LANGUAGE}


def _words(*words: str) -> Iterator[Item]:
    return (Item(word, None) for word in words)


def _fact(fact: Fact) -> Item:
    return Item(fact.name, Kind.FACT, typed(fact.type, fact.values), fact.doc)


def _attribute(attribute: Attribute) -> Item:
    return Item(attribute.name, Kind.ATTRIBUTE, typed(attribute.type, attribute.values), attribute.doc)


def _action(action: Action) -> Item:
    args = ", ".join(arg.name for arg in action.args)
    return Item(action.name, Kind.ACTION, f"action({args})" if args else "action", action.doc)
