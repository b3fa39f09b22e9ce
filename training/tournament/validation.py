"""Before a policy competes at a point: it was made for it, is calibrated there, answers as it has to, and in time."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from federation.errors import Temporary
from federation.policy.question import LABELS, Question, Scores
from tiki.schema import Point
from training.evaluation.bench import Many
from training.tournament.entrants import Entrant

ASKED = 40
"""Questions that each one is asked alone."""

_SUMS = 1e-3  # how far probabilities may be from 1 together: engines agree to as much


def unfit(entrant: Entrant, point: Point) -> str:
    """Why it cannot be tried at this point, before anything is asked; empty: it can."""
    made_for = entrant.points.get(point.name)
    if made_for is None:
        return "it was not made for this point"
    if made_for != point.version:
        return f"it was made for version {made_for} of the point, which is at {point.version}"
    if entrant.calibration is None or point.name not in entrant.calibration.points:
        return "it is not calibrated here, so it would decide nothing alone: `elias policy calibrate`"
    if not entrant.calibration.covers(point.name, point.version):
        calibrated = entrant.calibration.points[point.name].version
        return f"it is calibrated for version {calibrated} of the point, which is at {point.version}"
    return ""


def strange(questions: Sequence[Question], said: Sequence[Scores]) -> str:
    """Why these are no answers to the questions; empty: they are."""
    for number, (question, scores) in enumerate(zip(questions, said, strict=True), start=1):
        offered = len(question.candidates)
        if len(scores) != offered:
            labels = f"{LABELS[0]} to {LABELS[offered - 1]}"
            return f"to question {number} it gave {len(scores)} answers, where {labels} are allowed"
        if not all(map(math.isfinite, scores)) or abs(math.fsum(map(math.exp, scores)) - 1) > _SUMS:
            return f"its probabilities at question {number} do not sum to 1"
    return ""


def timed(
    answers: Mapping[str, Many],
    questions: Sequence[Question],
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """By name, sorted: seconds of each question asked alone, with its rendering. One after the other answers the same
    question, so that what else this machine does meets all of them alike."""
    took: dict[str, list[float]] = {name: [] for name in answers}
    for question in questions[:ASKED]:
        for name, answer in answers.items():
            began = clock()
            with suppress(Temporary):  # one that does not answer took as long, and is found out when it is marked
                answer([question])
            took[name].append(clock() - began)
    return {name: sorted(each) for name, each in took.items()}


def late(took: Sequence[float], deadline: float) -> str:
    """Why it is too slow; empty: it is not. took: sorted seconds. deadline: `policy.deadline`, seconds."""
    usual = took[int(0.95 * (len(took) - 1))]
    if usual <= deadline:
        return ""
    return f"one question in twenty takes longer than {usual:.3g} s; `policy.deadline` is {deadline:g} s"
