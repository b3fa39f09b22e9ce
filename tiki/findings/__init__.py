"""What is doubtful in specs: rules that never decide, guards that never forbid, settings that nothing uses.

    placed = tiki.merge.place(documents, overlays, points, report)
    for group in tiki.groups.groups(placed, points):
        checked = tiki.groups.check_group(group)
        clean = sound(placed, errors)                     # the points that no error is about
        quick(group, checked, clean)                      # what needs no solver: at once
        find(group, checked, clean, budget=10.0)          # everything

`find` gives all that `quick` gives but for what a stronger finding replaces. What a point's plan means is proved once:
the same plan somewhere else in the file, or after a change of another point, costs nothing. Every code has a page in
docs/tiki/findings/, and what they mean together stands in docs/tiki/semantics.md.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from time import monotonic

from tiki.diagnostics import Diagnostic, errors
from tiki.findings.doubts import Clauses
from tiki.findings.plain import about_point, unused_settings
from tiki.findings.proofs import Proved, meaning, proved
from tiki.findings.wording import said
from tiki.groups import Checked, Group
from tiki.merge import Placed
from tiki.plan import Plan

__all__ = ["BUDGET", "find", "quick", "sound"]

BUDGET = 10.0
"""Seconds for proofs, where nobody says how many."""

_REMEMBERED = 256
"""Plans whose proofs are kept, the last ones."""


def find(
    group: Group,
    checked: Checked,
    only: Collection[str] | None = None,
    budget: float = BUDGET,
    unsettled: Callable[[str], None] = lambda point: None,
) -> list[Diagnostic]:
    """Everything that is doubtful about the points of a group. only: names of points that have no errors.

    budget: seconds for proofs; what is not settled by then is left out, and nothing is proved with 0. unsettled: hears
    of each point about which a question is open.
    """
    found = list(unused_settings(checked.merged, _chosen(group, only)))
    ends = monotonic() + budget
    for name in _chosen(group, only):
        clauses = Clauses(checked.plans[name], checked.merged[name])
        known = _proved(clauses.plan, ends - monotonic())
        found += (said(doubt, clauses) for doubt in known.doubts)
        found += about_point(clauses, group.placed, known.doubts)
        if not known.settled:
            unsettled(name)
    return found


def quick(group: Group, checked: Checked, only: Collection[str] | None = None) -> list[Diagnostic]:
    """What is doubtful about the points of a group, without the solver. only: names of points that have no errors."""
    found = list(unused_settings(checked.merged, _chosen(group, only)))
    for name in _chosen(group, only):
        found += about_point(Clauses(checked.plans[name], checked.merged[name]), group.placed)
    return found


def sound(placed: Sequence[Placed], found: Iterable[Diagnostic]) -> frozenset[str]:
    """The points that no error is about: none stands in a spec of theirs, nor, in a file of theirs, outside of all.

    placed: every spec of the check; found: everything that is wrong, files that cannot be read included.
    """
    names = {name for one in placed for name in one.points}
    for error in errors(tuple(found)):
        here = [one for one in placed if one.spec.heading.place.path == error.path]
        above = [one for one in here if one.spec.heading.place.span.line <= error.line]
        about = [max(above, key=lambda one: one.spec.heading.place.span.line)] if above else here
        if not any(one.points for one in about):
            about = here
        names -= {name for one in about for name in one.points}
    return frozenset(names)


def _chosen(group: Group, only: Collection[str] | None) -> tuple[str, ...]:
    return tuple(name for name in group.names if only is None or name in only)


_known: dict[tuple[object, ...], Proved] = {}


def _proved(plan: Plan, budget: float) -> Proved:
    """What is proved of a plan, once for all plans that mean the same. What was not settled is tried again."""
    if budget <= 0 or not (plan.rules or plan.guards):
        return Proved((), settled=not (plan.rules or plan.guards))
    key = meaning(plan)
    known = _known.pop(key, None)
    if known is None or not known.settled:
        known = proved(plan, budget)
    _known[key] = known
    for oldest in list(_known)[:-_REMEMBERED]:
        _known.pop(oldest, None)
    return known
