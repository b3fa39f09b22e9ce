"""Whether one policy is better than another: both answered the same questions, so what is resampled is the pairs.

Many figures at many points are looked at together, and of a hundred differences that are none five look like one. So
what is called better or worse is held to one error for all of them (Holm 1979): where the two are alike, at least one
wrong word is said of them in at most 5 % of comparisons.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from scipy.stats import norm

from federation.errors import Refused
from federation.policy.calibration import percent
from training.evaluation.bootstrap import Judged, Numbers, bounds, drawn, estimated, means, pooled
from training.evaluation.result import Answers, Evaluation

ERROR = 0.05
OVERALL, PROBE = "overall", "general ability"
LESS_IS_BETTER = ("ece", "regret", "nats")

Verdict = Literal["better", "worse", ""]


class Difference(msgspec.Struct, frozen=True):
    """A figure of two policies. difference: after less before; low, high: its 95 % interval. chance: the probability of
    at least this difference were there none (the deviation by bootstrap, the distribution normal). verdict: of `after`;
    empty: the difference may be chance."""

    point: str
    figure: str
    before: float
    after: float
    difference: float
    low: float
    high: float
    chance: float
    verdict: Verdict


class _Pair(NamedTuple):
    """differences: of the resamples."""

    point: str
    figure: str
    before: float
    after: float
    differences: Numbers


def differences(before: Evaluation, after: Evaluation) -> list[Difference]:
    """Of every figure that both have, at the points that both have, and overall where these are all.

    Raises Refused where the two were not measured on the same questions, or were allowed different errors.
    """
    if before.source != after.source:
        cure = "evaluate both with the same --data, --split and --count"
        raise Refused("evaluation.unlike", "the two were measured on different questions", cure=cure)
    points = [name for name in before.points if name in after.points]
    if not points:
        raise Refused("evaluation.unlike", "the two have no decision point in common", cure="evaluate both at one")
    for name in points:
        was, now = before.points[name].max_error, after.points[name].max_error
        if was != now:
            said = f"of what is decided alone at `{name}`, one may have {percent(was)} wrong, the other {percent(now)}"
            raise Refused("evaluation.unlike", said, cure="evaluate both under one spec, and with the same --max-error")
    found: list[_Pair] = []
    for name in points:
        found += _figures(name, judged(before.answers[name]), judged(after.answers[name]))
        found += _worth(name, before, after)
    if len(points) == len(before.points) == len(after.points) > 1:
        found += _figures(OVERALL, *(_together(one, points) for one in (before, after)))
    found += _kept(before, after)
    chances = [_chance(pair) for pair in found]
    return list(map(_difference, found, chances, _verdicts(found, chances)))


def judged(answers: Answers) -> Judged:
    regret = np.array(answers.regret) if answers.regret else np.full(len(answers.sure), np.nan)
    return Judged(np.array(answers.sure), np.array(answers.right, bool), np.array(answers.alone, bool), regret)


def _figures(point: str, before: Judged, after: Judged) -> Iterator[_Pair]:
    was, now = estimated(before), estimated(after)
    was_drawn, now_drawn = drawn(before), drawn(after)
    for name in was:
        if np.isfinite(was[name]) and np.isfinite(now[name]):
            yield _Pair(point, name, was[name], now[name], now_drawn[name] - was_drawn[name])


def _together(evaluation: Evaluation, points: Sequence[str]) -> Judged:
    parts = [evaluation.answers[name] for name in points]
    return pooled([judged(part) for part in parts], [part.scale for part in parts])


def _kept(before: Evaluation, after: Evaluation) -> Iterator[_Pair]:
    if before.kept is not None and after.kept is not None:
        was, now = np.array(before.kept.nats), np.array(after.kept.nats)
        yield _Pair(PROBE, "nats", float(was.mean()), float(now.mean()), means(now - was))


def _worth(point: str, before: Evaluation, after: Evaluation) -> Iterator[_Pair]:
    was, now = before.points[point].worth, after.points[point].worth
    if was is not None and now is not None:
        gained = means(np.array(now.each) - np.array(was.each))
        yield _Pair(point, "reward", was.doubly_robust.value, now.doubly_robust.value, gained)


def _difference(pair: _Pair, chance: float, verdict: Verdict) -> Difference:
    low, high = bounds(pair.differences)
    gained = pair.after - pair.before
    return Difference(pair.point, pair.figure, pair.before, pair.after, gained, low, high, chance, verdict)


def _chance(pair: _Pair) -> float:
    deviation = float(np.nanstd(pair.differences))
    gained = abs(pair.after - pair.before)
    return float(2 * norm.sf(gained / deviation)) if deviation else float(not gained)


def _verdicts(pairs: Sequence[_Pair], chances: Sequence[float]) -> list[Verdict]:
    """Holm 1979: the surest first, each held to the part of ERROR that those not yet called leave it."""
    found: list[Verdict] = [""] * len(pairs)
    for left, at in zip(range(len(pairs), 0, -1), np.argsort(chances, kind="stable").tolist(), strict=True):
        if chances[at] > ERROR / left:
            break
        more = pairs[at].after > pairs[at].before
        found[at] = "better" if more != (pairs[at].figure in LESS_IS_BETTER) else "worse"
    return found
