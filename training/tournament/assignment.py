"""The table of assignments that follows from a tournament: who answers at each decision point, and who would.

Nothing is assigned by it. What is in force is the fold of the promotion records (`federation.policy.registry`), and a
winner gets there as every challenger does.
"""

from collections.abc import Mapping, Sequence

import msgspec

from federation.policy.promotions import Estimate
from federation.policy.registry import Stage
from training.tournament.contest import Pair, compare, winner
from training.tournament.entrants import Field
from training.tournament.play import Played


class Assignment(msgspec.Struct, frozen=True):
    """Of one decision point. now: who answers; proposed: who should, the same where nobody is shown to be better.
    failover: who answers where the policy in force cannot be loaded. estimate: what the winner gains, in percent of the
    champion's mean reward, its lower end holding at once with all others of the tournament; None: the champion stays.
    trial: the challenger that is tried there already."""

    point: str
    manager: str
    unit: str
    now: str
    proposed: str
    failover: str
    why: str
    estimate: Estimate | None = None
    trial: str = ""


class Result(msgspec.Struct, frozen=True):
    """rewards: the mean of each contestant, by point and name."""

    pairs: list[Pair]
    rewards: Mapping[str, Mapping[str, float]]
    assignments: list[Assignment]


def result(field: Field, played: Sequence[Played]) -> Result:
    """Pairs of all points are compared together."""
    matches = [one.match for one in played if one.match is not None]
    pairs = compare(matches)
    rewards = {
        match.point: dict(zip(match.names, match.rewards.mean(axis=0).tolist(), strict=True)) for match in matches
    }
    assignments = [
        _assigned(field, one, [pair for pair in pairs if pair.point == one.point.name], rewards.get(one.point.name, {}))
        for one in played
    ]
    return Result(pairs, rewards, assignments)


def by_manager(assignments: Sequence[Assignment]) -> dict[str, dict[str, list[str]]]:
    """By manager, the points at which each policy would answer."""
    found: dict[str, dict[str, list[str]]] = {}
    for one in assignments:
        found.setdefault(one.manager, {}).setdefault(one.proposed, []).append(one.point)
    return found


def _assigned(field: Field, played: Played, pairs: Sequence[Pair], rewards: Mapping[str, float]) -> Assignment:
    point, now = played.point, played.champion
    line = field.lines.get(point.name)
    trial = line.trial.challenger[:12] if line is not None and line.trial is not None else ""
    plain = Assignment(
        point.name, point.schema.manager, point.outcome.unit, now, now, field.entrants[0].name, "", None, trial
    )
    if played.match is None:
        why = next((out.reason for out in played.out if out.policy in ("", now)), "nobody competes with it")
        return msgspec.structs.replace(plain, why=why)
    best = winner(now, pairs)
    if best is None:
        return msgspec.structs.replace(plain, why="nobody is shown to be better")
    estimate = estimated(best, rewards[now], played.seconds)
    why = f"better by {best.gain:.3g} {point.outcome.unit} a question"
    if trial:
        stage = (
            "in the shadow" if line is not None and line.trial and line.trial.stage is Stage.SHADOW else "in a canary"
        )
        why += f"; {trial} is {stage} there"
    return msgspec.structs.replace(plain, proposed=best.one, why=why, estimate=estimate)


def estimated(best: Pair, champion: float, seconds: Mapping[str, float]) -> Estimate | None:
    """What `ulm.promotion` is told. champion: its mean reward; None where that is nothing, of which no share can be
    taken. The lower end is no higher than the gain's own, for the interval of the tournament is the wider one."""
    if not champion or best.low is None:
        return None
    share = 100 / abs(champion)
    speed = seconds[best.other] / seconds[best.one] if seconds.get(best.one) else None
    return Estimate(best.gain * share, best.low * share, speed and round(speed, 2), best.questions)
