"""From what was proved of a plan to diagnostics: words, places, fixes."""

from collections.abc import Callable, Iterable, Mapping

from tiki.diagnostics import Diagnostic, Note, Place, Span
from tiki.findings.cut import cut
from tiki.findings.doubts import At, Clauses, Code, Doubt, finding, place_of_action, verdicts
from tiki.findings.grounds import grounds
from tiki.findings.parts import Extent, part_at, shown
from tiki.plan import Every, tests


def said(doubt: Doubt, clauses: Clauses) -> Diagnostic:
    return _WORDS[doubt.code](doubt, clauses)


def _never_true(doubt: Doubt, clauses: Clauses) -> Diagnostic:
    why = _excluded(doubt, clauses)
    return finding(
        "TIKI-701",
        f"{clauses.called(doubt.at)} can never be true: {why}",
        clauses.clause(doubt.at).place,
        help="correct the condition, or remove the rule",
    )


def _never_forbids(doubt: Doubt, clauses: Clauses) -> Diagnostic:
    why = _excluded(doubt, clauses)
    return finding(
        "TIKI-712",
        f"{clauses.called(doubt.at)} can never forbid: {why}",
        clauses.clause(doubt.at).place,
        help="correct the condition, or remove the guard",
    )


def _excluded(doubt: Doubt, clauses: Clauses) -> str:
    """Why a condition is never true: parts of it exclude one another, or one is beyond what its fact can be."""
    condition = clauses.condition(doubt.at)
    parts = [part_at(condition, span).formula for span in doubt.because] or [condition]
    why = grounds(parts[0] if len(parts) == 1 else Every(tuple(parts)))
    because = f", for {_list(why)}" if why else ""
    if len(parts) > 1:
        return f"{_list([f'`{shown(part)}`' for part in parts])} exclude one another{because}"
    return f"no facts make `{shown(parts[0])}` true{because}"


def _unreached(doubt: Doubt, clauses: Clauses) -> Diagnostic:
    takers = [clauses.said(at) for at in doubt.by]
    one = len(takers) == 1
    move = f"put it before {clauses.called(doubt.by[0])}, or " if one and doubt.at.kind == "rule" else ""
    return finding(
        "TIKI-702",
        f"{clauses.called(doubt.at)} is never reached: {_list(takers)} {'decides' if one else 'decide'} all of it",
        clauses.clause(doubt.at).place,
        help=f"{move}remove it",
        notes=_notes(doubt.by, clauses, "decides before it"),
        example=doubt.example,
    )


def _always_true(doubt: Doubt, clauses: Clauses) -> Diagnostic:
    return finding(
        "TIKI-703",
        f"{clauses.called(doubt.at)} always holds: no facts, known or absent, make its condition false",
        clauses.clause(doubt.at).place,
        help="if that is meant, write `otherwise`; else correct the condition",
    )


def _spare(doubt: Doubt, clauses: Clauses) -> Diagnostic:
    assert doubt.span is not None
    condition, clause = clauses.condition(doubt.at), clauses.clause(doubt.at)
    part = part_at(condition, doubt.span)
    name, beside = f"`{shown(part.formula)}`", [_text(clauses, doubt.at, span) for span in doubt.because]
    why = f"{_list(beside)} settles it" if beside else "without it the condition has the same truth"
    why = "it stands there already" if beside == [name] else why
    return finding(
        "TIKI-704",
        f"{name} never matters in {clauses.called(doubt.at)}: {why}, whatever the facts",
        _place(clauses, doubt.at, doubt.span),
        help="leave it out, or correct what it says",
        notes=[Note("this settles it", _place(clauses, doubt.at, span)) for span in doubt.because],
        fix=cut(condition, part, clause.place),
    )


def _shut(doubt: Doubt, clauses: Clauses) -> Diagnostic:
    guards = [clauses.said(at) for at in (doubt.at, *doubt.by)]
    (action,) = doubt.actions
    return finding(
        "TIKI-713",
        f"`{action}` is always forbidden: {_list(guards)} {_lets(guards)} no candidate through, whatever the facts",
        clauses.clause(doubt.at).place,
        help=f"correct the guard; if `{action}` is never wanted, name it in no clause",
        notes=_notes(doubt.by, clauses, "forbids the rest"),
    )


def _overruled(doubt: Doubt, clauses: Clauses) -> Diagnostic:
    by = list(dict.fromkeys(doubt.by))
    guards = [clauses.said(at) for at in by]
    name, (action,) = clauses.called(doubt.at), doubt.actions
    return finding(
        "TIKI-714",
        f"{name} never gets to `{action}`: wherever it decides, {_list(guards)} {_forbid(guards)} it",
        place_of_action(clauses.clause(doubt.at), action),
        help="correct the guard or the rule: what is left is the terminal action",
        notes=_notes(by, clauses, f"forbids `{action}`"),
        example=f"{doubt.example}: {name} decides, and may not" if doubt.example else "",
    )


def _vain_offer(doubt: Doubt, clauses: Clauses) -> Diagnostic:
    by = list(dict.fromkeys(doubt.by))
    guards = [clauses.said(at) for at in by]
    name, terminal = clauses.called(doubt.at), clauses.plan.point.terminal
    offered = dict(verdicts(clauses.plan))[doubt.at].actions
    actions = _list([f"`{action}`" for action in doubt.actions])
    message = f"{name} offers {actions} in vain: wherever it asks, {_list(guards)} {_forbid(guards)} it"
    if {action for action in offered if action != terminal} == set(doubt.actions):
        message = f"the guards forbid every candidate of {name}: wherever it asks, only `{terminal}` is left"
    return finding(
        "TIKI-715",
        message,
        place_of_action(clauses.clause(doubt.at), doubt.actions[0]),
        help="correct the guard, or offer something else",
        notes=_notes(by, clauses, "forbids it"),
        example=f"{doubt.example}: {name} asks" if doubt.example else "",
    )


_WORDS: Mapping[Code, Callable[[Doubt, Clauses], Diagnostic]] = {
    "TIKI-701": _never_true,
    "TIKI-702": _unreached,
    "TIKI-703": _always_true,
    "TIKI-704": _spare,
    "TIKI-712": _never_forbids,
    "TIKI-713": _shut,
    "TIKI-714": _overruled,
    "TIKI-715": _vain_offer,
}


def _notes(by: Iterable[At], clauses: Clauses, what: str) -> list[Note]:
    return [Note(f"{clauses.called(at)} {what}", clauses.clause(at).place) for at in by]


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _lets(guards: list[str]) -> str:
    return "lets" if len(guards) == 1 else "together let"


def _forbid(guards: list[str]) -> str:
    return "forbids" if len(guards) == 1 else "forbid"


def _text(clauses: Clauses, at: At, extent: Extent) -> str:
    return f"`{shown(part_at(clauses.condition(at), extent).formula)}`"


def _place(clauses: Clauses, at: At, extent: Extent) -> Place:
    """From the first comparison of a part to its last."""
    mine = tests(clauses.condition(at))
    first, last = mine[extent[0]].place, mine[extent[1]].place
    span = Span(first.span.line, first.span.column, last.span.end_line, last.span.end_column)
    return Place(first.path, span, first.excerpt)
