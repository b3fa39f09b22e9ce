"""The examples under a spec: each row is a decision on its own, checked against the rules in force."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from tiki.compile import convert_fact
from tiki.diagnostics import Diagnostic, Place, Report, errors
from tiki.document import Cell, Examples
from tiki.merge import Merged, declared, names_in
from tiki.plan import Plan, Verdict
from tiki.program import Program
from tiki.resolve import TIERS, plan_of, setting_values, unreadable
from tiki.schema import Point, Type
from tiki.trace import Trace
from tiki.values import ABSENT, UNKNOWN, Known, Mark, Value, canonical, closest, show

NOT_SET = ("decides", "fallback", "on_timeout")
"""Settings that a test cannot set: they name what a spec does, and no value in it."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row. settings: those that a column sets for this row. decides: as written."""

    point: str
    facts: tuple[Known, ...]
    settings: Mapping[str, Value]
    decides: str
    place: Place


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """What an example came to. `message` says, where it failed, what was decided instead and why."""

    example: Example
    passed: bool
    verdict: Verdict
    trace: Trace
    message: str = ""


def examples_of(merged: Merged, report: Report) -> list[Example]:
    """The examples of a point; a column or a cell that means nothing is an error."""
    found: list[Example] = []
    for table in merged.examples:
        found += _table(table, merged, report)
    return found


def _table(table: Examples, merged: Merged, report: Report) -> list[Example]:
    facts = {fact.name: fact for fact in merged.point.facts}
    settings = {name: value for name, value in setting_values(merged, Report()).items() if name not in NOT_SET}
    wrong = unreadable(merged, settings)
    *columns, decides = table.header.cells
    if decides.text != "decides":
        report.error(
            "TIKI-601",
            "the last column of examples is `decides`",
            decides.place,
            suggestion=closest(decides.text, ["decides"]),
        )
        return []
    names = [cell.text for cell in columns]
    for position, cell in enumerate(columns):
        if cell.text in names[:position]:
            report.error("TIKI-601", f"the column `{cell.text}` stands twice", cell.place)
        elif cell.text not in facts and cell.text not in settings:
            near = closest(cell.text, [*facts, *settings])
            report.error(
                "TIKI-601",
                f"`{cell.text}` is neither a fact nor a setting of {merged.point.name}",
                cell.place,
                suggestion=near,
            )
    if any(name not in facts and (name not in settings or name in wrong) for name in names):
        return []
    rows = []
    for row in table.rows:
        known: dict[str, Known] = {}
        set_: dict[str, Value] = {}
        for name, cell in zip(names, row.cells, strict=False):
            if name in facts:
                known[name] = _cell(cell, facts[name].type, partial(convert_fact, facts[name]), report)
            elif cell.text:
                setting = settings[name]
                type_ = setting.type if setting is not None else declared(merged.point)[name].type
                value = _cell(cell, type_, partial(canonical, type_), report)
                if not isinstance(value, Mark):
                    set_[name] = value
        if set_ and (error := broken_by(merged, set_)) is not None:
            message = f"with these settings {error.path}:{error.line} is wrong: {error.message}"
            report.error("TIKI-602", message, row.place)
            continue
        expected = row.cells[-1]
        if _expectation(expected, merged, report):
            values = tuple(known.get(fact.name, ABSENT) for fact in merged.point.facts)
            rows.append(Example(merged.point.name, values, set_, expected.text, row.place))
    return rows


def _cell(cell: Cell, type_: Type, convert: Callable[[str], Known], report: Report) -> Known:
    if cell.text in ("", "absent"):
        return ABSENT
    if cell.text == "unknown":
        return UNKNOWN
    try:
        return convert(cell.text.strip('"') if type_ is Type.NAME else cell.text)
    except ValueError as error:
        report.error("TIKI-602", str(error), cell.place, help="a cell is a value, `absent` or `unknown`")
        return UNKNOWN


def _expectation(cell: Cell, merged: Merged, report: Report) -> bool:
    """Whether the cell names something that can be decided."""
    known = decidable(merged.point)
    word = cell.text.partition("(")[0].partition("[")[0].strip()
    if word in known:
        return True
    report.error(
        "TIKI-602",
        f"`{cell.text}` is nothing that {merged.point.name} could decide",
        cell.place,
        suggestion=closest(word, known),
    )
    return False


def broken_by(merged: Merged, settings: Mapping[str, Value]) -> Diagnostic | None:
    """An error that the specs of a point have under these settings and do not have without them."""
    naming = [clause for clause in merged.clauses if not settings.keys().isdisjoint(names_in(clause))]
    touched = replace(merged, clauses=naming)
    with_, without = Report(), Report()
    plan_of(touched, with_, settings)
    plan_of(touched, without)
    return next((error for error in errors(with_.found) if error not in without.found), None)


def run_example(example: Example, merged: Merged, program: Program) -> ExampleResult:
    if example.settings:
        program = Program(plan_of(merged, Report(), example.settings))
    held = program.unwatched(example.facts)
    trace = program.explain(example.facts, held)
    passed = _squeezed(example.decides) in names_of(trace.outcome, program.plan)
    message = "" if passed else f"{example.place}: expected {example.decides}, decided {trace.decided}\n{trace.text()}"
    return ExampleResult(example, passed, trace.verdict, trace, message)


def decidable(point: Point) -> list[str]:
    """The words that a test may begin to say what is decided with."""
    return [*(action.name for action in point.actions), "consult", "fallback", *TIERS]


def names_of(verdict: Verdict, plan: Plan) -> set[str]:
    """The ways to write this verdict in a test, without blanks."""
    if verdict.kind == "consult":
        return {"consult", _squeezed(f"consult [{','.join(verdict.actions)}]")}
    names = {"fallback"} if verdict.kind == "fallback" else set()
    names |= {word for word, tier in TIERS.items() if tier == verdict.tier}
    if verdict.action is not None:
        types = {arg.name: arg.type for arg in plan.point.action(verdict.action).args}
        args = ",".join(show(types[name], value) for name, value in verdict.args.items())
        names |= {verdict.action, _squeezed(f"{verdict.action}({args})")}
    return names


def _squeezed(text: str) -> str:
    return "".join(text.split())
