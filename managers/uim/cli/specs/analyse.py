"""`elias tiki analyse`: what can be proved about specs, for all inputs at once."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.output import Json, emit, progress
from managers.uim.cli.specs.bounded import bounded
from managers.uim.cli.specs.sources import Folder, Overlay, bundle_of, known, points

if TYPE_CHECKING:
    import tiki
    from tiki.analysis import Analysis, Result
    from tiki.plan import Plan

_OVERLAPS = 5
"""Overlaps that are shown of one point; they are often meant."""
UNSETTLED = 3


def analyse(
    context: typer.Context,
    path: Folder = None,
    overlay: Overlay = None,
    point: Annotated[
        str, typer.Option(help="One decision point; by default all that the specs have clauses for.")
    ] = "",
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds of computing time for each point; what is open then says so.")
    ] = 10.0,
    all_: Annotated[bool, typer.Option("--all", help="Every answer, not only what somebody should look at.")] = False,
    json_: Json = False,
) -> None:
    """Prove, for every input, where rules leave gaps, overlap, never or always hold or are never reached, and what
    guards take away. What is refuted comes with an input, which `elias tiki explain` takes as it stands.

    Exit code 0 where every question was settled, 3 where one was not, 1 where the specs cannot be used.

    Examples:

        elias tiki analyse

        elias tiki analyse my_specs --point urm.resource_pressure --all

        elias tiki analyse my_specs --timeout 60 --json
    """
    if point:
        known(point, points())
    analyses = _analyses(bundle_of(context, path, overlay), point, timeout)
    if json_:
        emit([_plain(one) for one in analyses])
    else:
        print("\n\n".join("\n".join(_lines(one, all_)) for one in analyses) or "no clauses to analyse")
    if not all(one.settled for one in analyses):
        raise typer.Exit(UNSETTLED)


def _analyses(bundle: "tiki.Bundle", point: str, timeout: float) -> "list[Analysis]":
    import z3  # noqa: F401, PLC0415 - here, and not again in every process that proves

    from tiki.analysis import Analysis, analyse  # noqa: PLC0415 - only this command and `diff` need a solver

    plans = [program.plan for name, program in sorted(bundle.programs.items()) if point in ("", name)]
    plans = [plan for plan in plans if plan.rules or plan.guards or plan.last.reason != "unset"]
    if point and not plans:
        raise Refused("no-clauses", f"no spec has clauses for {point}", cure="leave out --point, or name another one")
    total, found = sum(map(_size, plans)), list[Analysis]()
    with progress("proving") as step:
        for at, plan in enumerate(plans):
            before = sum(map(_size, plans[:at]))
            found.append(bounded(partial(analyse, plan), timeout, partial(_step, step, before, total)))
    return found


def _size(plan: "Plan") -> int:
    return len(plan.rules) + len(plan.guards)


def _step(step: Callable[[int, int], None], before: int, total: int, done: int, _: int) -> None:
    step(before + done, total)


def _plain(analysis: "Analysis") -> dict[str, Any]:
    return {
        "point": analysis.point,
        "settled": analysis.settled,
        "more_overlaps": analysis.more_overlaps,
        "results": [
            {
                "question": result.question,
                "clauses": result.clauses,
                "statement": result.statement,
                "outcome": result.outcome,
                "example": result.example,
                "by": result.by,
            }
            for result in analysis.results
        ],
    }


def _lines(analysis: "Analysis", everything: bool) -> list[str]:
    from tiki.analysis import Outcome, Question  # noqa: PLC0415

    overlaps = analysis.of(Question.OVERLAP)
    others = [result for result in analysis.results if result not in overlaps]
    shown = [r for r in others if everything or r.doubtful or r.outcome is Outcome.UNSETTLED]
    counts = [f"{sum(r.outcome is outcome for r in analysis.results)} {outcome.value}" for outcome in Outcome]
    lines = [f"{analysis.point}: {', '.join(counts)}"]
    lines += [f"  {result.outcome.value:<11} {_sentence(result)}" for result in shown]
    listed = overlaps if everything else overlaps[:_OVERLAPS]
    lines += [f"  overlap     {_overlap(result)}" for result in listed]
    if len(listed) < len(overlaps) or analysis.more_overlaps:
        more = "more" if analysis.more_overlaps else str(len(overlaps) - len(listed))
        lines.append(f"  and {more} overlaps{'' if everything else '; --all lists them'}")
    return lines if len(lines) > 1 else [f"{lines[0]}; nothing to look at"]


def _sentence(result: "Result") -> str:
    from tiki.analysis import Question  # noqa: PLC0415

    by = ", ".join(f"`{name}`" for name in result.by)
    match result.question:
        case Question.UNREACHED if by:
            return f"{result.statement}: {by} {'take' if len(result.by) > 1 else 'takes'} all its inputs"
        case Question.UNKNOWN if by:
            return f"{result.statement}: {by} may be unknown, for example with {result.example}"
    return f"{result.statement}: not with {result.example}" if result.example else result.statement


def _overlap(result: "Result") -> str:
    first, second = (f"`{name}`" for name in result.clauses)
    if not result.example:
        return f"{first} and {second}: not settled"
    return f"{first} and {second} with {result.example}: `{result.by[0]}` decides"
