"""What a scenario expects: whether it can be, and whether it was."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tiki.diagnostics import Report
from tiki.examples import decidable, names_of
from tiki.program import Program
from tiki.syntax import Name
from tiki.testing.syntax import At, Choice, Expected, Fires, Guarded, NothingNew
from tiki.trace import Trace, describe
from tiki.values import ABSENT, Value, canonical, closest

Attributes = Mapping[str, Value | None]
"""What a candidate carries, by dotted name: None is absent, a missing name unknown."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate that was shown to the guards, and the name of the one that forbids it."""

    action: str
    attributes: Attributes
    forbidden: str | None


def attributes_of(line: At, program: Program, report: Report) -> Attributes:
    """Checks what a line expects against the point and its clauses; gives the attributes of a guarded candidate."""
    expected = line.expected
    match expected:
        case Fires():
            _choice(expected.choice, program, report)
            if expected.still and expected.choice.word.text == program.point.terminal:
                message = f"`{program.point.terminal}` takes every clause out of force, and is never in force itself"
                report.error("TIKI-631", message, expected.choice.place, help="leave `still` away")
        case Guarded():
            return _guarded(expected, program, report)
    _named("TIKI-631", "clause", expected.clause, [*_clauses(program), "fallback", "unset"], program, report)
    if program.point.trigger == "every" and (isinstance(expected, NothingNew) or expected.still):
        message = f"{program.point.name} answers every event, so there is always something new"
        report.error("TIKI-631", message, line.place, help="write what it decides")
    return {}


def _clauses(program: Program) -> list[str]:
    plan = program.plan
    last = [plan.last.clause] if plan.last.reason == "otherwise" else []
    return [*(rule.name for rule in plan.rules), *last]


def _choice(choice: Choice, program: Program, report: Report) -> None:
    known = decidable(program.point)
    if choice.word.text not in known:
        message = f"`{choice.word.text}` is nothing that {program.point.name} could decide"
        near = closest(choice.word.text, known)
        cure = "" if near else f"it decides {', '.join(known)}"
        report.error("TIKI-631", message, choice.word.place, suggestion=near, help=cure)
    elif choice.word.text == "consult":
        actions = [action.name for action in program.point.actions]
        for item in choice.items or ():
            if item not in actions:
                message = f"`{item}` is not an action of {program.point.name}"
                report.error("TIKI-631", message, choice.place, suggestion=closest(item, actions))


def _named(code: str, kind: str, clause: Name | None, known: Iterable[str], program: Program, report: Report) -> None:
    names = list(known)
    if clause is not None and clause.text not in names:
        near = closest(clause.text, names)
        cure = "" if near else f"they are {', '.join(names) or 'none'}"
        message = f"{program.point.name} has no {kind} `{clause.text[:64]}`"
        report.error(code, message, clause.place, suggestion=near, help=cure)


def _guarded(expected: Guarded, program: Program, report: Report) -> Attributes:
    point = program.point
    actions = [action.name for action in point.actions if action.name != point.terminal]
    action = expected.action
    if action.text not in actions:
        near = closest(action.text, actions)
        cure = "" if near else f"guards stand before {', '.join(actions)}"
        message = f"`{action.text}` is not an action of {point.name} that a guard could forbid"
        report.error("TIKI-632", message, action.place, suggestion=near, help=cure)
        return {}
    mine = [guard.name for guard in program.guards if guard.action == action.text]
    _named("TIKI-632", f"guard of `{action.text}`", expected.guard, mine, program, report)
    carried = {a.name: a for a in point.attributes if action.text in a.actions}
    found: dict[str, Value | None] = {}
    for name, text in expected.attributes:
        if name.text not in carried:
            near = closest(name.text, carried)
            cure = "" if near else f"its candidates carry {', '.join(carried) or 'nothing'}"
            message = f"candidates of `{action.text}` carry no `{name.text[:64]}`"
            report.error("TIKI-632", message, name.place, suggestion=near, help=cure)
        elif text != "unknown":
            attribute = carried[name.text]
            try:
                value = canonical(attribute.type, None if text == "absent" else text.strip('"'), attribute.values)
            except ValueError as error:
                report.error("TIKI-622", f"{name.text}: {error}", name.place)
            else:
                found[name.text] = None if value is ABSENT else value  # type: ignore[assignment]
    return found


def objection(expected: Expected, trace: Trace, fired: bool, candidate: Candidate | None) -> str:
    """Why what was decided is not what was expected; empty where it is."""
    if isinstance(expected, Guarded):
        assert candidate is not None
        if (candidate.forbidden is not None) != expected.forbidden:
            return f"forbidden by {candidate.forbidden}" if candidate.forbidden else "no guard forbids it"
        if expected.guard is not None and expected.guard.text != candidate.forbidden:
            return f"forbidden by {candidate.forbidden}"
        return ""
    clause = expected.clause
    if clause is not None and clause.text != trace.verdict.clause:
        return f"decided {describe(trace.verdict)}"
    if isinstance(expected, NothingNew):
        return f"decided {describe(trace.verdict)}" if fired else ""
    if "".join(str(expected.choice).split()) not in names_of(trace.outcome if fired else trace.verdict, trace.plan):
        return f"decided {trace.decided if fired else describe(trace.verdict)}"
    if fired and expected.still:
        return f"decided {describe(trace.verdict)}, anew"
    if not fired and not expected.still:
        return f"{describe(trace.verdict)} was in force already and did nothing new; write `still {expected.choice}`"
    return ""
