"""A scenario as it is written, before any name in it has a meaning. Times are nanoseconds of virtual time."""

from dataclasses import dataclass, field

from tiki.diagnostics import Place
from tiki.syntax import Name


@dataclass(frozen=True, slots=True)
class Time:
    text: str
    at: int
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Item:
    """A stretch of a series: `value`, then `times` more, each greater by `step`. A value `_` is none."""

    value: str
    step: str
    times: int
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Series:
    fact: Name
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Decides:
    point: Name
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Setting:
    name: Name
    value: str
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Given:
    """Facts that stay as they are all through the scenario."""

    subjects: tuple[Name, ...]
    series: tuple[Series, ...]
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Load:
    """Facts that come every `every`, from `start` on."""

    every: Time
    start: Time | None
    subjects: tuple[Name, ...]
    series: tuple[Series, ...]
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Restart:
    """The manager begins anew: what it remembers of the past is gone."""

    at: Time
    place: Place = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """`word` is an action, a tier, `consult` or `fallback`; `items` its arguments or actions, None where none are
    given."""

    word: Name
    items: tuple[str, ...] | None
    place: Place = field(compare=False, repr=False)

    def __str__(self) -> str:
        if self.items is None:
            return self.word.text
        inside = ", ".join(self.items)
        return f"consult [{inside}]" if self.word.text == "consult" else f"{self.word.text}({inside})"


@dataclass(frozen=True, slots=True)
class Fires:
    """The choice is made now; with `still`, it is in force and is not made again."""

    choice: Choice
    still: bool
    clause: Name | None

    def __str__(self) -> str:
        return f"{'still ' if self.still else ''}{self.choice}{_by(self.clause)}"


@dataclass(frozen=True, slots=True)
class NothingNew:
    """What is in force stays so, whatever it is."""

    clause: Name | None

    def __str__(self) -> str:
        return f"nothing new{_by(self.clause)}"


@dataclass(frozen=True, slots=True)
class Guarded:
    """What the guards say of a candidate. attributes: name and value as written."""

    action: Name
    attributes: tuple[tuple[Name, str], ...]
    forbidden: bool
    guard: Name | None

    def __str__(self) -> str:
        carried = ", ".join(f"{name.text}={value}" for name, value in self.attributes)
        return (
            f"{self.action.text}{f' with {carried}' if carried else ''} "
            f"is {'forbidden' if self.forbidden else 'allowed'}{_by(self.guard)}"
        )


Expected = Fires | NothingNew | Guarded


@dataclass(frozen=True, slots=True)
class At:
    """What must be decided at `times`; with `through`, at every moment from the first of the two to the second."""

    times: tuple[Time, ...]
    through: bool
    subjects: tuple[Name, ...]
    expected: Expected
    place: Place = field(compare=False, repr=False)


Line = Decides | Setting | Given | Load | Restart | At


@dataclass(frozen=True, slots=True)
class Scenario:
    """common: the lines above the first scenario of its part of the file, which hold for all of them."""

    title: str
    common: tuple[Line, ...]
    lines: tuple[Line, ...]
    place: Place = field(compare=False, repr=False)


def _by(clause: Name | None) -> str:
    return f" by {clause.text}" if clause else ""


def print_line(line: Line) -> str:
    """The one way in which a line is written."""
    match line:
        case Decides():
            return f"decides: {line.point.text}"
        case Setting():
            return f"{line.name.text}: {line.value}"
        case Given():
            return f"given{_on(line.subjects)}: {_all(line.series)}"
        case Load():
            start = f" from {line.start.text}" if line.start else ""
            return f"load {line.every.text}{start}{_on(line.subjects)}: {_all(line.series)}"
        case Restart():
            return f"restart at {line.at.text}"
        case At():
            texts = [time.text for time in line.times]
            when = f"from {texts[0]} to {texts[1]}" if line.through else f"at {', '.join(texts)}"
            return f"{when}{_on(line.subjects)}: {line.expected}"


def _on(subjects: tuple[Name, ...]) -> str:
    return f" on {', '.join(subject.text for subject in subjects)}" if subjects else ""


def _all(series: tuple[Series, ...]) -> str:
    return ", ".join(f"{one.fact.text} {' '.join(map(_item, one.items))}" for one in series)


def _item(item: Item) -> str:
    if not item.times:
        return item.value
    glued = item.value == "_" or (item.value.removeprefix("-")[:1].isdecimal() and "_" not in item.value)
    apart = "" if glued else " "
    return f"{item.value}{item.step}{apart}x{item.times}"
