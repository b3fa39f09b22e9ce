"""Exploration: now and then another candidate than the best is taken, or there is nothing to learn from offline.

Epsilon-greedy over what can be taken back. The exact propensities go on record with the draw, so that inverse
propensity scoring (Horvitz and Thompson 1952) needs no model of who chose.
"""

from collections.abc import Iterable, Sequence

from federation.clock import DAY
from federation.points import Mode
from federation.records import Asked, Scored
from tiki import Point
from tiki.plan import Exploration


def explorable(point: Point, asked: Asked, offered: Sequence[int]) -> list[int]:
    """Those of the offered candidates that may be taken only to learn what comes of it: the clause's `consult` names
    the action, another one takes it back, and it would be done and not only shown or proposed. To do nothing, the
    terminal action, takes nothing back: the next event asks again."""
    return [index for index in offered if _reversible(point, asked, asked.candidates[index].action)]


def _reversible(point: Point, asked: Asked, action: str) -> bool:
    acts = asked.modes.get(action, Mode.ACT) == Mode.ACT
    again = action == point.terminal or point.action(action).undo is not None
    return acts and action in asked.offers and again


def propensities(offered: Sequence[int], best: int, others: Iterable[int], share: float) -> list[float]:
    """Of the offered candidates, in their order: `share` is split evenly between the others than the best."""
    others = set(others) - {best}
    each = share / len(others) if others else 0.0
    rest = max(0.0, 1.0 - each * len(others))
    return [each if index in others else rest if index == best else 0.0 for index in offered]


def taken(scored: Scored) -> int:
    """The candidate that the policy answers with, by the propensities and the draw on record: its choice, or what the
    exploration took instead."""
    assert scored.choice is not None, "no engine has spoken"
    below = 0.0
    for index, propensity in zip(scored.offered, scored.propensities, strict=False):
        if index != scored.choice:
            below += propensity
            if scored.draw < below:
                return index
    return scored.choice


def spent(times: Iterable[int], at: int) -> list[int]:
    """Of the times (ns) at which something was explored, those that count at ledger time `at`."""
    return [time for time in times if time > at - DAY]


def left(exploration: Exploration | None, times: Iterable[int], at: int) -> float:
    """The share of the answers that may explore at ledger time `at` (ns): none once the budget of the day is spent."""
    if exploration is None or len(spent(times, at)) >= exploration.daily:
        return 0.0
    return exploration.share
