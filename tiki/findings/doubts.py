"""A doubt about one point, and how it becomes a diagnostic. Doubts name clauses and parts of them by position, never by
place, so that what was found once stays true when the text around a clause moves."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from tiki.diagnostics import Diagnostic, Fix, Note, Place, Severity
from tiki.findings.parts import Extent
from tiki.format import print_condition
from tiki.merge import Merged
from tiki.plan import Formula, GuardPlan, Plan, RulePlan, Verdict
from tiki.syntax import Call, Clause, Consult, Guard, Otherwise

_SHOWN = 60
"""Characters of a condition in a message."""


@dataclass(frozen=True, slots=True)
class At:
    """A clause of a plan: its kind and its position among those of its kind, 0 for `otherwise`."""

    kind: Literal["rule", "guard", "otherwise"]
    index: int = 0


Code = Literal["TIKI-701", "TIKI-702", "TIKI-703", "TIKI-704", "TIKI-712", "TIKI-713", "TIKI-714", "TIKI-715"]


@dataclass(frozen=True, slots=True)
class Doubt:
    """by: the clauses that make it so. span: the part of the condition that it is about; because: the parts that make
    it so. actions: those that are forbidden. example: an input that shows it, in TIKI."""

    code: Code
    at: At
    by: tuple[At, ...] = ()
    span: Extent | None = None
    because: tuple[Extent, ...] = ()
    actions: tuple[str, ...] = ()
    example: str = ""


@dataclass(frozen=True, slots=True)
class Clauses:
    """The clauses of one point, resolved and as written. Only of a point without errors, where they correspond."""

    plan: Plan
    merged: Merged

    def name(self, at: At) -> str:
        match at.kind:
            case "rule":
                return self.plan.rules[at.index].name
            case "guard":
                return self.plan.guards[at.index].name
        return self.plan.last.clause

    def clause(self, at: At) -> Clause:
        wanted = self.name(at)
        return next(clause for name, clause in self.merged.named() if name == wanted)

    def condition(self, at: At) -> Formula:
        clauses: tuple[RulePlan, ...] | tuple[GuardPlan, ...]
        clauses = self.plan.rules if at.kind == "rule" else self.plan.guards
        return clauses[at.index].condition

    def called(self, at: At) -> str:
        """A clause by its own name, which stands in backticks, or by its kind and number: `rule 1`."""
        clause = self.clause(at)
        return f"`{self.name(at)}`" if clause.name or isinstance(clause, Otherwise) else self.name(at)

    def said(self, at: At) -> str:
        """A clause as a message names it: `rule 1 (memory > 80%)`."""
        clause = self.clause(at)
        if isinstance(clause, Otherwise):
            return self.called(at)
        text = print_condition(clause.condition)
        text = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
        return f"{self.called(at)} ({text})"


def finding(
    code: str,
    message: str,
    place: Place,
    *,
    help: str = "",
    notes: Iterable[Note] = (),
    example: str = "",
    fix: Fix | None = None,
) -> Diagnostic:
    span = place.span
    return Diagnostic(
        code, Severity.WARNING, message, place.path, span.line, span.column, span.end_line, span.end_column,
        help=help, excerpt=place.excerpt, notes=tuple(notes), example=example, fix=fix,
    )  # fmt: skip


def place_of_action(clause: Clause, action: str) -> Place:
    """Where a clause names an action."""
    if isinstance(clause, Guard):
        return clause.action.place
    choice: Call | Consult = clause.choice
    names = (choice.action,) if isinstance(choice, Call) else choice.actions
    return next(name.place for name in names if name.text == action)


def verdicts(plan: Plan) -> Iterator[tuple[At, Verdict]]:
    """What each clause that decides chooses, in the order in which they are tried."""
    for index, rule in enumerate(plan.rules):
        yield At("rule", index), rule.verdict
    if plan.last_place is not None:
        yield At("otherwise"), plan.last


def actions_of(verdict: Verdict) -> tuple[str, ...]:
    return verdict.actions if verdict.action is None else (verdict.action,)
