"""Whether an edit changes where a policy is asked: then the promise on its error (`max_error`), which was measured on
what it was asked before, no longer covers the point.

What is written is compared here, not what it means: quick enough for whoever decides events, and no change is missed.
Two ways to write one condition count as a change, until `federation.bundles.proof` proves that they are none.
"""

from collections.abc import Hashable

from tiki.bundle import Bundle
from tiki.plan import Plan, Verdict, signature


def suspects(before: Bundle, after: Bundle) -> list[str]:
    """The points, in order, where `after` may consult on other inputs, or on other choices, than `before`."""
    return [
        name
        for name, program in sorted(after.programs.items())
        if (region := _region(program.plan))
        and (name not in before.programs or region != _region(before.programs[name].plan))
    ]


def _region(plan: Plan) -> Hashable:
    """All that says when a policy is asked and among what: every rule up to the last that consults, and the guards on
    what it may choose. None: it is never asked.
    """
    asking = [position for position, rule in enumerate(plan.rules) if rule.verdict.kind == "consult"]
    count = len(plan.rules) if plan.last.kind == "consult" else asking[-1] + 1 if asking else 0
    consults = [*(plan.rules[position].verdict for position in asking), plan.last]
    offered = {action for verdict in consults if verdict.kind == "consult" for action in verdict.actions}
    if not offered:
        return None
    rules = tuple(
        (signature(rule.condition), _over_time(plan, rule.window), _asked(rule.verdict)) for rule in plan.rules[:count]
    )
    guards = tuple(sorted((g.action, signature(g.condition)) for g in plan.guards if g.action in offered))
    return rules, guards, _asked(plan.last)


def _over_time(plan: Plan, index: int | None) -> Hashable:
    if index is None:
        return None
    window = plan.windows[index]
    return window.duration, window.stay and signature(window.stay), window.max_age


def _asked(verdict: Verdict) -> tuple[str, ...]:
    return verdict.actions if verdict.kind == "consult" else ()
