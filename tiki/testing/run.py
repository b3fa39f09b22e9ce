"""Runs scenarios on the compiled rules and on virtual time, in the way in which the desk of a manager asks them."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tiki.bundle import Bundle
from tiki.diagnostics import Diagnostic, Place, Report, Source, errors
from tiki.program import Latch, Program
from tiki.schema import Type
from tiki.testing.expect import Attributes, Candidate, attributes_of, objection
from tiki.testing.read import read
from tiki.testing.syntax import At, Decides, Guarded, Restart, Scenario, Time
from tiki.testing.timeline import Timeline, program_of, timelines
from tiki.trace import Trace, describe
from tiki.values import Truth, closest, show
from tiki.windows import SECOND, Memory

MOST_MOMENTS = 1_000_000
"""Moments of all scenarios of one file, each counted once to decide and once for every line that looks at it."""
_MOST_FAILURES = 5
"""Failures of one scenario that are told. The first is the one to look at."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What was decided about a subject at `at` (nanoseconds). before: the truth of each window at the moment before.
    fired: whether it was new. again: whether the clause had been in force."""

    at: int
    trace: Trace
    before: tuple[Truth, ...]
    fired: bool
    again: bool


@dataclass(frozen=True, slots=True)
class Checked:
    """A moment that a line of the scenario expects something of; candidate: which the guards were asked about."""

    moment: Moment
    candidate: Candidate | None


@dataclass(frozen=True, slots=True)
class Plot:
    """A scenario with every name in it bound."""

    scenario: Scenario
    point: str
    program: Program
    timelines: Mapping[str, Timeline]
    restarts: tuple[int, ...]
    expected: tuple[tuple[At, Attributes], ...]


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """What a scenario came to. `message` says, where it failed, what was decided instead, why, and when."""

    point: str
    title: str
    place: Place
    program: Program
    checked: tuple[Checked, ...]
    message: str = ""

    @property
    def passed(self) -> bool:
        return not self.message


def plots(sources: Sequence[Source], bundle: Bundle, report: Report) -> list[Plot]:
    """The scenarios of some files, checked against a bundle."""
    found: list[Plot] = []
    for source in sources:
        file = read(source)
        report.take(file.diagnostics)
        left = MOST_MOMENTS
        for scenario in file.scenarios:
            plot = _plot(scenario, bundle, report, whole=not file.diagnostics)
            if plot is None:
                continue
            left -= _moments(plot)
            if left < 0:
                message = f"the lines of a file look at {MOST_MOMENTS:,} moments at most"
                report.error("TIKI-627", message, scenario.place, help="load longer intervals, or split the file")
                break
            found.append(plot)
    return found


def check(sources: Sequence[Source], bundle: Bundle) -> list[Diagnostic]:
    """Everything that is wrong with files of scenarios, in order of place."""
    report = Report()
    plots(sources, bundle, report)
    return sorted(report.found, key=lambda found: (found.path, found.line, found.column, found.code))


def run(plot: Plot) -> ScenarioResult:
    courses = {subject: _course(plot, line) for subject, line in plot.timelines.items()}
    checked: list[Checked] = []
    failures: list[str] = []
    failed = 0
    for line, attributes in plot.expected:
        for subject in _subjects(line, plot.timelines):
            for moment in _at(line, plot.timelines[subject].moments, courses[subject]):
                candidate = _candidate(line, plot.program, moment, attributes)
                checked.append(Checked(moment, candidate))
                wrong = objection(line.expected, moment.trace, moment.fired, candidate)
                failed += bool(wrong)
                if wrong and failed <= _MOST_FAILURES:
                    failures.append(_failure(plot, line, subject, moment, wrong, courses[subject]))
    if failed > _MOST_FAILURES:
        failures.append(f"and {failed - _MOST_FAILURES} more lines and moments like these")
    scenario = plot.scenario
    return ScenarioResult(plot.point, scenario.title, scenario.place, plot.program, tuple(checked), "\n".join(failures))


def _plot(scenario: Scenario, bundle: Bundle, report: Report, *, whole: bool) -> Plot | None:
    """whole: whether every line of the file could be read; else what is missing may stand in one that could not."""
    before = len(errors(report.found))
    point = _point(scenario, bundle, report)
    if point is None:
        return None
    program = program_of(scenario, bundle.merged[point], bundle.programs[point], report)
    subjects = timelines(scenario, program, report)
    if len(errors(report.found)) > before:
        return None
    expected = []
    for line in scenario.lines:
        if isinstance(line, At):
            expected.append((line, attributes_of(line, program, report)))
            _asked(line, subjects, report)
    if not expected and whole:
        cure = "add what must be decided when: `- at 2m: ACTION`"
        report.error("TIKI-633", f"the scenario `{scenario.title}` expects nothing", scenario.place, help=cure)
    restarts = tuple(line.at.at for line in scenario.lines if isinstance(line, Restart))
    if len(errors(report.found)) > before:
        return None
    return Plot(scenario, point, program, subjects, restarts, tuple(expected))


def _point(scenario: Scenario, bundle: Bundle, report: Report) -> str | None:
    for lines in (scenario.lines, scenario.common):
        named = [line for line in lines if isinstance(line, Decides)]
        if len(named) > 1:
            report.error("TIKI-625", f"`decides` stands already, at {named[0].place}", named[1].place)
        for line in named[:1]:
            if line.point.text in bundle.programs:
                return line.point.text
            near = closest(line.point.text, bundle.programs)
            message = f"`{line.point.text[:64]}` is not a decision point"
            report.error("TIKI-624", message, line.point.place, suggestion=near)
            return None
    cure = "write `- decides: MANAGER.POINT` here, or once above the first scenario"
    report.error("TIKI-624", "the scenario names no decision point", scenario.place, help=cure)
    return None


def _asked(line: At, subjects: Mapping[str, Timeline], report: Report) -> None:
    """An expectation of a moment at which nobody asks is a mistake: it would never be looked at."""
    for subject in line.subjects:
        if subject.text not in subjects:
            near = closest(subject.text, subjects)
            message = f"no line gives facts about `{subject.text[:64]}`"
            report.error("TIKI-623", message, subject.place, suggestion=near)
            return
    for name in _subjects(line, subjects):
        moments = subjects[name].moments
        if line.through:
            if not _between(line, moments):
                first, last = line.times
                report.error("TIKI-630", f"nothing is asked between {first.text} and {last.text}", first.place)
            continue
        for time in line.times:
            _asked_at(time, moments, report)


def _asked_at(time: Time, moments: Sequence[int], report: Report) -> None:
    position = bisect_left(moments, time.at)
    if moments[position : position + 1] == (time.at,):
        return
    near = [show_time(moment) for moment in moments[max(0, position - 1) : position + 1]]
    cure = f"the series ask at {' and '.join(near)}"
    report.error("TIKI-630", f"nothing is asked at {time.text}", time.place, help=cure)


def _moments(plot: Plot) -> int:
    """How many are decided, and looked at."""
    looked = 0
    for line, _ in plot.expected:
        for subject in _subjects(line, plot.timelines):
            looked += len(_between(line, plot.timelines[subject].moments)) if line.through else len(line.times)
    return looked + sum(len(timeline.moments) for timeline in plot.timelines.values())


def _between(line: At, moments: Sequence[int]) -> range:
    """Which of these moments, in order of time, `from FIRST to LAST` is about."""
    first, last = line.times
    return range(bisect_left(moments, first.at), bisect_right(moments, last.at))


def _subjects(line: At, subjects: Mapping[str, Timeline]) -> list[str]:
    return [subject.text for subject in line.subjects] or list(subjects)


def _course(plot: Plot, line: Timeline) -> dict[int, Moment]:
    """Every moment of one subject, as a manager's desk would have it: the windows are sampled, the rules decide, and
    the latch tells what is new. A restart forgets the windows, not what is in force: that is on record."""
    program, memory, latch = plot.program, Memory(), None
    restarts = sorted(plot.restarts)
    before: tuple[Truth, ...] = (None,) * len(program.windows)
    moments: dict[int, Moment] = {}
    for at, facts in zip(line.moments, line.facts, strict=True):
        while restarts and restarts[0] <= at:
            memory = Memory()
            restarts.pop(0)
        held = program.sample(memory, at, facts)
        trace = program.explain(facts, held)
        was: Latch | None = latch
        latch, fired = program.latch(was, trace.verdict, at)
        again = was is not None and was.clause == trace.verdict.clause
        moments[at] = Moment(at, trace, before, fired, again)
        before = held
    return moments


def _at(line: At, moments: Sequence[int], course: Mapping[int, Moment]) -> Iterator[Moment]:
    if line.through:
        yield from (course[moments[index]] for index in _between(line, moments))
    else:
        yield from (course[time.at] for time in line.times)


def _candidate(line: At, program: Program, moment: Moment, attributes: Attributes) -> Candidate | None:
    if not isinstance(line.expected, Guarded):
        return None
    action = line.expected.action.text
    facts, held = moment.trace.facts, moment.trace.held
    return Candidate(action, attributes, program.forbids(facts, held, action, {}, attributes))


def _failure(plot: Plot, line: At, subject: str, moment: Moment, wrong: str, course: Mapping[int, Moment]) -> str:
    on = f" on {subject}" if subject else ""
    head = f"{line.place}: {plot.scenario.title}: at {show_time(moment.at)}{on} expected {line.expected}, {wrong}"
    return f"{head}\n{_facts(moment.trace)}\n{moment.trace.text()}\n{_history(course)}"


def _facts(trace: Trace) -> str:
    pairs = zip(trace.plan.point.facts, trace.facts, strict=True)
    return f"facts: {', '.join(f'{fact.name} {show(fact.type, value)}' for fact, value in pairs)}"


def _history(course: Mapping[int, Moment]) -> str:
    """What was decided when, a line for each change."""
    lines = ["what was decided when:"]
    said = ""
    for moment in course.values():
        now = describe(moment.trace.verdict)
        if now != said or (moment.fired and moment.again):
            lines.append(f"  {show_time(moment.at):>8} {now}{'' if moment.fired else ', in force already'}")
        said = now
    return "\n".join(lines[:12] + ["  ..."] * (len(lines) > 12))


def show_time(at: int) -> str:
    """Nanoseconds as a person writes them in a scenario: `2m30s`."""
    seconds, rest = divmod(at, SECOND)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        parts += [f"{count}{unit}"] if count else []
    if rest:
        parts.append(f"{show(Type.NUMBER, rest / 1e6)}ms")
    return "".join(parts) or "0s"
