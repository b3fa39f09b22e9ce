"""From the lines of a scenario to what happens when: settings in force, and the facts at every moment."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from tiki.diagnostics import Place, Report
from tiki.examples import NOT_SET, broken_by
from tiki.merge import Merged, declared
from tiki.plan import Constant
from tiki.program import Program
from tiki.resolve import plan_of, setting_values
from tiki.schema import Fact, Type
from tiki.syntax import Name
from tiki.testing.parse import LONGEST
from tiki.testing.syntax import Given, Item, Load, Scenario, Series, Setting
from tiki.values import ABSENT, UNKNOWN, Known, Mark, Value, canonical, closest
from tiki.windows import SECOND

MOST_VALUES = 2 * LONGEST
"""Values of all facts and subjects of one scenario."""

_MARKS: dict[str, Known | None] = {"_": None, "absent": ABSENT, "unknown": UNKNOWN}
_AMOUNT = re.compile(r"(-?\d+(?:\.\d+)?)(.*)", re.ASCII)
_GLUED = re.compile(r"(.+?)x(\d{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Timeline:
    """One subject: the moments (nanoseconds) at which it is asked about, and its facts at each."""

    moments: tuple[int, ...]
    facts: tuple[tuple[Known, ...], ...]


@dataclass(frozen=True, slots=True)
class _Course:
    """How one fact goes: its values at `start`, `start + every` and so on, None where none comes. `every` is 0 where
    its one value is for all time."""

    start: int
    every: int
    values: tuple[Known | None, ...]
    place: Place

    @property
    def end(self) -> int:
        return self.start + self.every * (len(self.values) - 1)


def program_of(scenario: Scenario, merged: Merged, program: Program, report: Report) -> Program:
    """The program under the settings of the scenario. With errors in `report` it is that of the bundle."""
    overrides: dict[str, Value] = {}
    last: Setting | None = None
    for lines in (scenario.common, scenario.lines):
        seen: dict[str, Place] = {}
        for line in lines:
            if isinstance(line, Setting):
                _once(line.name, seen, report)
                value = _setting(line, merged, report)
                if value is not None:
                    overrides[line.name.text] = value
                    last = line
    if last is None:
        return program
    wrong = broken_by(merged, overrides)
    if wrong is not None:
        message = f"with this setting {wrong.path}:{wrong.line} is wrong: {wrong.message}"
        report.error("TIKI-622", message, last.place)
        return program
    return Program(plan_of(merged, Report(), overrides))


def _setting(line: Setting, merged: Merged, report: Report) -> Value | None:
    known: dict[str, Constant | None] = setting_values(merged, Report())
    name = line.name.text
    if name not in known or name in NOT_SET:
        facts = [fact.name for fact in merged.point.facts]
        near = closest(name, [*known, "given", "load"])
        cure = f"write `given: {name} ...` or `load 30s: {name} ...`" if name in facts else ""
        message = f"`{name}` is no setting of {merged.point.name} that a scenario may set"
        report.error("TIKI-623", message, line.name.place, suggestion=None if cure else near, help=cure)
        return None
    constant = known[name]
    setting = declared(merged.point).get(name)
    type_ = setting.type if setting is not None else constant.type if constant is not None else Type.NAME
    try:
        value = canonical(type_, _bare(type_, line.value), setting.values if setting is not None else ())
    except ValueError as error:
        report.error("TIKI-622", f"{name}: {error}", line.place)
        return None
    return None if isinstance(value, Mark) else value


def timelines(scenario: Scenario, program: Program, report: Report) -> dict[str, Timeline]:
    """By subject; the name of the only one is empty where none is named."""
    facts = [line for line in (*scenario.common, *scenario.lines) if isinstance(line, Given | Load)]
    named = {subject.text: None for line in facts for subject in line.subjects} or {"": None}
    found: dict[str, Timeline] = {}
    left = MOST_VALUES
    for subject in named:
        courses = _courses_of(scenario, subject, program, report)
        left -= sum(len(course.values) for several in courses.values() for course in several)
        if left < 0:
            report.error("TIKI-627", f"a scenario has at most {MOST_VALUES} values", scenario.place)
            break
        found[subject] = _timeline(courses, program)
    return found


def _courses_of(scenario: Scenario, subject: str, program: Program, report: Report) -> dict[str, list[_Course]]:
    """The courses of each fact of a subject, in order of time. A line of the scenario takes the place of those above
    the first one."""
    courses: dict[str, list[_Course]] = {}
    for lines in (scenario.common, scenario.lines):
        mine: dict[str, list[_Course]] = {}
        for line in lines:
            if isinstance(line, Given | Load) and (not line.subjects or subject in (s.text for s in line.subjects)):
                for name, course in _courses(line, program, report):
                    _apart(name, course, mine.setdefault(name, []), report)
        courses |= mine
    return courses


def _timeline(courses: Mapping[str, list[_Course]], program: Program) -> Timeline:
    moments = {
        course.start + course.every * step
        for several in courses.values()
        for course in several
        if course.every
        for step in range(len(course.values))
    }
    asked = tuple(sorted(moments or {0}))
    columns = [_column(fact, courses.get(fact.name, []), asked) for fact in program.point.facts]
    return Timeline(asked, tuple(zip(*columns, strict=True)) if columns else ((),) * len(asked))


def _courses(line: Given | Load, program: Program, report: Report) -> Iterator[tuple[str, _Course]]:
    if isinstance(line, Load) and not line.every.at:
        report.error("TIKI-627", "time stands still here", line.every.place, help="for example `load 30s: ...`")
        return
    found = [(series, values) for series in line.series if (values := _values(series, program, report)) is not None]
    length = max((len(values) for _, values in found), default=1)
    longest = next((series for series, values in found if len(values) == length), None)
    for series, values in found:
        place = series.fact.place
        if isinstance(line, Given):
            if len(values) > 1 or values[0] is None:
                cure = "use `load` for values that come one after the other"
                report.error("TIKI-626", f"`{series.fact.text}` is given as more than one value", place, help=cure)
            yield series.fact.text, _Course(0, 0, values[:1], place)
        else:
            if len(values) not in (1, length) and longest is not None:
                message = f"`{series.fact.text}` has {len(values)} values, `{longest.fact.text}` has {length}"
                cure = "`x6` goes on for six more; one value alone stands for all; `_` is a moment without one"
                report.error("TIKI-626", message, place, help=cure)
            start = line.start.at if line.start is not None else 0
            yield (
                series.fact.text,
                _Course(start, line.every.at, values * length if len(values) == 1 else values, place),
            )


def _apart(name: str, course: _Course, before: list[_Course], report: Report) -> None:
    """Keeps the courses of a fact in order of time; two at one time are an error."""
    for other in before:
        if not course.every or not other.every or (course.start <= other.end and other.start <= course.end):
            report.error("TIKI-625", f"`{name}` has values at this time already, from {other.place}", course.place)
            return
    before.append(course)
    before.sort(key=lambda course: course.start)


def _column(fact: Fact, courses: list[_Course], moments: Iterable[int]) -> list[Known]:
    """A fact at each moment. It keeps its last value until the next one comes, but no longer than its `max_age`, and
    is unknown before the first. Absent where no line names it."""
    if not courses:
        return [ABSENT for _ in moments]
    if not courses[0].every:
        return [courses[0].values[0] for _ in moments]  # type: ignore[misc]
    coming = [
        (c.start + c.every * step, value) for c in courses for step, value in enumerate(c.values) if value is not None
    ]
    position, at = 0, 0
    value: Known = UNKNOWN
    column: list[Known] = []
    for moment in moments:
        while position < len(coming) and coming[position][0] <= moment:
            at, value = coming[position]
            position += 1
        old = fact.max_age is not None and moment - at > round(fact.max_age * SECOND)
        column.append(UNKNOWN if old else value)
    return column


def _values(series: Series, program: Program, report: Report) -> tuple[Known | None, ...] | None:
    """The values of a series, one an interval; None, with a diagnostic, where they make no sense."""
    facts = {fact.name: fact for fact in program.point.facts}
    name = series.fact.text
    if name not in facts:
        near = closest(name, facts)
        cure = "" if near else f"the facts are {', '.join(facts) or 'none'}"
        message = f"`{name[:64]}` is not a fact of {program.point.name}"
        report.error("TIKI-623", message, series.fact.place, suggestion=near, help=cure)
        return None
    if sum(item.times + 1 for item in series.items) > LONGEST:
        report.error("TIKI-627", f"a series has at most {LONGEST} values", series.fact.place)
        return None
    values: list[Known | None] = []
    for item in series.items:
        try:
            values += _stretch(item, facts[name], program)
        except ValueError as error:
            glued = _GLUED.fullmatch(item.value)
            suggestion = f"{glued[1]} x{glued[2]}" if glued else None
            report.error("TIKI-622", str(error), item.place, suggestion=suggestion)
            return None
    return tuple(values)


def _stretch(item: Item, fact: Fact, program: Program) -> list[Known | None]:
    """Raises ValueError with the cure."""
    if item.value in _MARKS:
        return [_MARKS[item.value]] * (item.times + 1)
    if not item.step:
        return [program.parse_fact(fact.name, _bare(fact.type, item.value))] * (item.times + 1)
    start, step = _AMOUNT.fullmatch(item.value), _AMOUNT.fullmatch(item.step.removeprefix("+"))
    if start is None or step is None or step[2] not in ("", start[2]):
        raise ValueError(f"{fact.name}: the step `{item.step}` is not in the unit of `{item.value}`")
    amounts = (Decimal(start[1]) + Decimal(step[1]) * count for count in range(item.times + 1))
    return [program.parse_fact(fact.name, f"{amount:f}{start[2]}") for amount in amounts]


def _bare(type_: Type, text: str) -> str:
    return text.strip('"') if type_ is Type.NAME else text


def _once(name: Name, seen: dict[str, Place], report: Report) -> None:
    if name.text in seen:
        report.error("TIKI-625", f"`{name.text}` is set already, at {seen[name.text]}", name.place)
    seen[name.text] = name.place
