"""What is doubtful and can be told without a solver: no fallback, unused settings, what nothing takes back, a
`clear at` out of reach."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from tiki.diagnostics import Diagnostic, Edit, Fix, Note, Span
from tiki.findings.doubts import At, Clauses, Doubt, actions_of, finding, place_of_action, verdicts
from tiki.merge import EXPLORES, LANGUAGE, Merged, Placed, names_used
from tiki.plan import Constant, FactTerm, Plan, Test, tests
from tiki.syntax import Assignment, Consult, Otherwise, Rule
from tiki.values import show


def about_point(clauses: Clauses, placed: Sequence[Placed], doubts: Sequence[Doubt] = ()) -> Iterator[Diagnostic]:
    """TIKI-505, 721 and 722. doubts: what is proved of the point's clauses; one that never decides takes nothing back
    and needs no other word."""
    dead = {doubt.at for doubt in doubts if doubt.code in ("TIKI-701", "TIKI-702")}
    idle = {(at, action) for at, verdict in verdicts(clauses.plan) if at in dead for action in actions_of(verdict)}
    idle |= {(doubt.at, action) for doubt in doubts for action in doubt.actions}
    yield from _no_fallback(clauses, placed)
    yield from _not_taken_back(clauses, idle)
    yield from _never_cleared(clauses, dead)


def _no_fallback(clauses: Clauses, placed: Sequence[Placed]) -> Iterator[Diagnostic]:
    """TIKI-505."""
    plan, merged = clauses.plan, clauses.merged
    undecided = plan.last_place is None and plan.last.reason != "unset"
    if "fallback" in merged.settings or not (undecided or _may_be_unknown(plan)):
        return
    assert merged.heading is not None
    terminal = plan.point.terminal
    when = "no rule holds or a fact is unknown" if undecided else "a fact is unknown"
    yield finding(
        "TIKI-505",
        f"{plan.point.name} names no fallback: it does `{terminal}` where {when}",
        merged.heading.place,
        help="add `- fallback: request_operator`, or another tier or action",
        fix=_say_terminal(plan, placed),
    )


def _may_be_unknown(plan: Plan) -> bool:
    terms = [term for rule in plan.rules for test in tests(rule.condition) for term in test.terms]
    return any(isinstance(term, FactTerm) for term in terms) or bool(plan.windows)


def _say_terminal(plan: Plan, placed: Sequence[Placed]) -> Fix | None:
    """Writes the fallback that is in force anyway into a spec about this point alone, behind its `decides`."""
    mine = [one.spec for one in placed if one.points == (plan.point.name,) and not one.overlay and one.spec.statements]
    if not mine:
        return None
    statements = mine[0].statements
    first = statements[0]
    says_point = isinstance(first, Assignment) and first.name.text == "decides"
    place = (statements[1] if says_point and len(statements) > 1 else first).place
    line = place.span.line
    text = f"fallback: {plan.point.terminal}"
    edit = Edit(place.path, Span(line, 1, line, 1), f"- {text}\n")
    return Fix(f"write `- {text}`, which is what happens now", (edit,))


def unused_settings(merged: Mapping[str, Merged], sound: Collection[str]) -> Iterator[Diagnostic]:
    """TIKI-711. A point without clauses has no use for any setting yet, so one that concerns it is left alone."""
    used = {name: _used(one) for name, one in merged.items()}
    takers: dict[tuple[str, Span], list[str]] = {}
    assignments: dict[tuple[str, Span], Assignment] = {}
    for name, one in merged.items():
        for assignment in one.settings.values():
            key = (assignment.place.path, assignment.place.span)
            takers.setdefault(key, []).append(name)
            assignments[key] = assignment
    for key, names in takers.items():
        assignment = assignments[key]
        setting = assignment.name.text
        if any(setting in used[name] or not merged[name].clauses or name not in sound for name in names):
            continue
        about = " and ".join(names)
        why, cure = f"no clause of {about} names it, and the manager does not read it", "name it in a clause"
        if setting in EXPLORES:
            why = f"no `consult` of {about} names an action that can be taken back"
            cure = "have a clause consult on one that another action undoes"
        yield finding(
            "TIKI-711",
            f"nothing uses `{setting}`: {why}",
            assignment.place,
            help=f"remove it, or {cure}",
            fix=_remove(assignment),
        )


def _used(merged: Merged) -> set[str]:
    read = {setting.name for setting in merged.point.settings if setting.read_by_manager}
    idle = frozenset[str]() if _explores(merged) else EXPLORES
    return {setting.name for setting in LANGUAGE} - idle | read | names_used(merged)


def _explores(merged: Merged) -> bool:
    """Whether some clause consults on an action that can be taken back."""
    reversible = {action.name for action in merged.point.actions if action.undo is not None}
    choices = (clause.choice for clause in merged.clauses if isinstance(clause, Rule | Otherwise))
    return any(name.text in reversible for one in choices if isinstance(one, Consult) for name in one.actions)


def _remove(assignment: Assignment) -> Fix | None:
    """Takes the line away, where it holds nothing else."""
    place = assignment.place
    span = place.span
    if span.line != span.end_line or "<!--" in place.excerpt:
        return None
    whole = Span(span.line, 1, span.line + 1, 1)
    return Fix(f"remove the line that sets `{assignment.name.text}`", (Edit(place.path, whole, ""),))


def _not_taken_back(clauses: Clauses, idle: Collection[tuple[At, str]]) -> Iterator[Diagnostic]:
    """TIKI-721. idle: what a clause names and never gets to do."""
    plan = clauses.plan
    named = [(at, action) for at, verdict in verdicts(plan) for action in actions_of(verdict)]
    can = {action for at, action in named if (at, action) not in idle} | {plan.on_timeout, plan.fallback.action}
    told: set[str] = set()
    for at, verdict in verdicts(plan):
        action = verdict.action
        undo = plan.point.action(action).undo if action is not None else None
        if action is None or undo is None or undo in can or action in told or (at, action) in idle:
            continue
        told.add(action)
        vain = [other for other, name in named if name == undo]
        yield finding(
            "TIKI-721",
            f"nothing takes `{action}` back: no clause of {plan.point.name} can ever choose `{undo}`",
            place_of_action(clauses.clause(at), action),
            help=f"say when it is over: `- when ...: {undo}`",
            notes=[
                Note(f"{clauses.said(other)} names `{undo}` and never gets to do it", clauses.clause(other).place)
                for other in vain
            ],
        )


def _never_cleared(clauses: Clauses, dead: Collection[At]) -> Iterator[Diagnostic]:
    """TIKI-722. dead: rules that never decide."""
    plan = clauses.plan
    for index, rule in enumerate(plan.rules):
        stay = None if rule.window is None else plan.windows[rule.window].stay
        if stay is None or At("rule", index) in dead:
            continue
        why = _out_of_reach(stay)
        if why:
            name = clauses.called(At("rule", index))
            yield finding(
                "TIKI-722",
                f"`clear at` is never reached: {why}, so once {name} holds it stays in force",
                stay.place,
                help="name a value that the fact comes back to",
            )


def _out_of_reach(stay: Test) -> str:
    """Why a fact never comes back to the value of `clear at`; empty where it can."""
    fact, limit = stay.left, stay.right
    assert isinstance(fact, FactTerm)
    low, high = fact.fact.range
    assert isinstance(limit, Constant)
    assert isinstance(limit.value, int | float)
    if stay.operator == ">" and limit.value < low:
        return f"`{fact.fact.name}` is never below {show(fact.type, low)}"
    if stay.operator == "<" and limit.value > high:
        return f"`{fact.fact.name}` is never above {show(fact.type, high)}"
    return ""
