"""What an edit of specs changes for all inputs, as `elias tiki diff` tells it: proved, with an example each."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from managers.uim.cli.output import progress
from managers.uim.cli.specs.bounded import Step, bounded

if TYPE_CHECKING:
    from federation.whatif import Edit
    from tiki.analysis import Comparison, Difference
    from tiki.plan import Plan


def _compare(old: "Plan", new: "Plan", timeout: float, _: Step) -> "Comparison":
    from tiki.analysis import compare  # noqa: PLC0415 - only this command and `analyse` need a solver

    return compare(old, new, timeout)


def compared(edit: "Edit", timeout: float) -> "list[Comparison]":
    """The points that the edit concerns, in order of name. timeout: seconds of computing time for each."""
    import z3  # noqa: F401, PLC0415 - here, and not again in every process that proves

    names = sorted({*edit.points, *_with_other_settings(edit)})
    found = []
    with progress("points") as shown:
        for done, name in enumerate(names):
            shown(done, len(names))
            plans = edit.old.programs[name].plan, edit.new.programs[name].plan
            found.append(bounded(partial(_compare, *plans), timeout))
    return found


def _with_other_settings(edit: "Edit") -> Iterator[str]:
    for name in edit.old.programs.keys() & edit.new.programs.keys():
        if edit.old.programs[name].settings != edit.new.programs[name].settings:
            yield name


def lines(one: "Comparison") -> Iterator[str]:
    """A comparison for people."""
    from tiki.analysis import Outcome  # noqa: PLC0415

    yield one.point
    if one.equivalent is Outcome.PROVED:
        yield "  the rules and guards mean the same, proved for all inputs"
    for difference in one.differences:
        yield f"  {_difference(difference)}"
    for guard in one.guards:
        yield f"  {guard.action} is {'newly forbidden' if guard.forbidden else 'no longer forbidden'}: {guard.example}"
    for setting in one.settings:
        yield f"  {setting.name}: {setting.old or 'not set'} -> {setting.new or 'not set'}"
    if not one.complete:
        yield "  there is more, or it was not settled in time; `--timeout` gives it more"
    if one.consults is Outcome.REFUTED:
        yield f"  a policy is asked on other inputs than before, for example {one.consult_example}:"
        yield "    what was promised of its errors (`max_error`) does not cover them"


def _difference(one: "Difference") -> str:
    from tiki.analysis import choice  # noqa: PLC0415

    turn = f"{choice(one.old)} -> {choice(one.new)}"
    if not one.certain:
        return f"{turn} may differ: the times at which conditions held are taken as independent; found {one.example}"
    unknown = ", where a fact is unknown" if one.unknown_only else ""
    if not one.condition:
        return f"{turn}{unknown}: {one.example}"
    where = one.condition if one.exactly else f"among others {one.condition}"
    return f"{turn}{unknown}: {where}; for example {one.example}"


def plain(one: "Comparison") -> dict[str, Any]:
    """A comparison for programs."""
    from tiki.analysis import choice  # noqa: PLC0415

    return {
        "point": one.point,
        "equivalent": str(one.equivalent),
        "complete": one.complete,
        "differences": [
            {
                "old": choice(difference.old),
                "new": choice(difference.new),
                "condition": difference.condition,
                "exactly": difference.exactly,
                "unknown_only": difference.unknown_only,
                "certain": difference.certain,
                "example": difference.example,
            }
            for difference in one.differences
        ],
        "guards": [{"action": g.action, "forbidden": g.forbidden, "example": g.example} for g in one.guards],
        "settings": [{"name": s.name, "old": s.old, "new": s.new} for s in one.settings],
        "consults": str(one.consults),
        "consult_example": one.consult_example,
    }
