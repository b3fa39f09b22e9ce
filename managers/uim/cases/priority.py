"""How urgent a case is, and which cases are alike. Pure."""

from collections.abc import Mapping, Sequence

from federation.clock import SECOND
from federation.escalation import Escalation
from federation.points import DecisionPoint, Mode
from federation.records import Asked
from federation.targets import PRIORITIES, Priority

RANK: Mapping[str, int] = {name: rank for rank, name in enumerate(reversed(PRIORITIES))}
"""0 is the most urgent."""


def wanted(point: str, asked: Asked) -> str:
    """`point/action` of the effect that a case of the gate is about; empty for all others."""
    return str(asked.facts.get("action") or "") if point.startswith("gate.") else ""


def alike(point: str, asked: Asked, actions: Sequence[str]) -> str:
    """What cases of one group have in common: point, clause, the actions offered, and at the gate what wants to act."""
    return "\n".join((point, asked.clause, " ".join(actions), wanted(point, asked)))


def priority(
    escalation: Escalation,
    points: Mapping[str, DecisionPoint],
    point: str,
    asked: Asked,
    actions: Sequence[str],
) -> Priority:
    """As the settings say, else by what the answer would do.

    critical: a mistake at the point cannot be undone, or a part of ELIAS itself is down. high: an offered action takes
    something away from the cluster. low: every offered effect is only observed, so that the answer does nothing.
    normal: everything else.
    """
    effect = wanted(point, asked)
    names = [effect] if effect else [f"{point}/{action}" for action in actions]
    said = _set(escalation.priorities, point, names)
    if said is not None:
        return said
    if point == "gate.supervision" or any(_critical(points, name) for name in (point, *names)):
        return "critical"
    if any(_disruptive(points, name) and _acts(asked, name) for name in names):
        return "high"
    modes = [asked.modes[action] for action in actions if action in asked.modes]
    return "low" if modes and all(mode == Mode.OBSERVE for mode in modes) else "normal"


def _set(set_: Mapping[str, Priority], point: str, names: Sequence[str]) -> Priority | None:
    """The most urgent of the actions that are named, else of the point, else of its manager."""
    of_actions = [set_[name] for name in names if name in set_]
    if of_actions:
        return min(of_actions, key=RANK.__getitem__)
    of_names = [name.partition("/")[0] for name in names]
    places = (*of_names, point, f"{point.partition('.')[0]}.*")
    return next((set_[place] for place in places if place in set_), None)


def _critical(points: Mapping[str, DecisionPoint], name: str) -> bool:
    point = name.partition("/")[0]
    return point in points and points[point].critical


def _disruptive(points: Mapping[str, DecisionPoint], name: str) -> bool:
    point, _, action = name.partition("/")
    does = points[point].effects.get(action) if point in points else None
    return does is not None and does.disruptive


def _acts(asked: Asked, name: str) -> bool:
    return asked.modes.get(name.partition("/")[2], Mode.ACT) != Mode.OBSERVE


def due(escalation: Escalation, priority: Priority, opened: int) -> int:
    """By when a case ought to be answered; ledger time, ns."""
    return opened + round(float(getattr(escalation.answer_within, priority)) * SECOND)


def raised(priority: Priority) -> Priority:
    """One step more urgent."""
    return PRIORITIES[min(PRIORITIES.index(priority) + 1, len(PRIORITIES) - 1)]
