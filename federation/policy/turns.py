"""Whose turn a decision is, where policies were promoted: the champion's, or by lot the challenger's in its canary."""

from federation.points import DecisionPoint
from federation.policy.arms import challenger, unit_of
from federation.policy.promotions import Lot
from federation.policy.registry import Line, Stage
from federation.policy.tier import CHALLENGER, CHAMPION, Turn
from federation.records import Asked


def turn(point: DecisionPoint, line: Line, asked: Asked) -> Turn:
    """Who is asked. The lot is drawn by trial and unit alone, so replay and every node find the same."""
    champion = (line.champion,) if line.champion else ()
    trial = line.trial
    if trial is None or trial.stage is not Stage.CANARY:
        return Turn(champion)
    unit = unit_of(point, asked.event.subject, asked.at, trial.block)
    if challenger(drawn_by(point.name, trial.number), unit, trial.share):
        return Turn((trial.challenger, *champion), Lot(trial.number, CHALLENGER, unit, trial.share))
    return Turn(champion, Lot(trial.number, CHAMPION, unit, trial.share))


def drawn_by(point: str, trial: int) -> str:
    """What the lots of a trial go by."""
    return f"{point}/{trial}"
