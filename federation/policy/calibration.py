"""A confidence that means what it says, and what may be decided alone on it.

The confidence is the probability that the choice is right. The promise is about the choices that are taken alone: with
probability 95 % over the data that the thresholds were tested on, at most `max_error` of them are wrong.
federation/policy/fitting.py fits the one and tests the other; docs/policy/confidence.md says what the promise rests on.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from federation.errors import Refused

if TYPE_CHECKING:  # the records hold calibrations, and a question holds candidates of records
    from federation.policy.question import Scores

CONFIDENCE = 0.95
"""Of the promise: over all calibrations of one policy at one point together, at most 5 % of the time it is untrue."""

FLOOR = 1e-6
"""Probabilities below this are the same to a confidence: their logarithms are noise of the arithmetic."""


class Weighed(NamedTuple):
    """choice: number of a label. confidence: probability that it is right. threshold: from which the policy decides
    alone; None: it may not here. why: in words."""

    choice: int
    confidence: float
    threshold: float | None
    why: str


class Step(msgspec.Struct, frozen=True, array_like=True):
    """A threshold that was tested: of the questions `accepted` reach it, and `wrong` of these are answered wrongly.

    bound: no test from the first one to this one refuses an error of at most `bound` (a share).
    """

    threshold: float
    accepted: int
    wrong: int
    bound: float


class PointCalibration(msgspec.Struct, frozen=True):
    """Of one policy at one decision point.

    version: of the point. temperature: divides the scores. weights: of the confidence. steps: in the order in which
    they were tested, thresholds falling and bounds rising. fitted_on, tested_on: questions that temperature and weights
    come from, and that the steps come from; none is both. times: how often this policy was calibrated here, this one
    included. spent: the part of 1 - CONFIDENCE that the tests of this one may err with.
    """

    version: int
    temperature: float
    weights: tuple[float, float, float, float]
    steps: tuple[Step, ...]
    fitted_on: int
    tested_on: int
    times: int
    spent: float

    def confidence(self, scores: "Scores") -> float:
        """The probability that the best label is right: logistic in the `masses` at the temperature.

        Dirichlet calibration (Kull et al. 2019) of best, second and rest. The best probability alone would not do:
        where two candidates are both right it is a half, and the choice is safe all the same.
        """
        constant, *slopes = self.weights
        parts = zip(slopes, masses(tempered(scores, self.temperature)), strict=True)
        odds = constant + math.fsum(slope * mass for slope, mass in parts)
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))

    def threshold(self, max_error: float) -> float | None:
        """The least confidence that may decide alone with at most this share of wrong ones; None: none may.

        An error that no step was tested for takes the nearest stricter step.
        """
        return min((step.threshold for step in self.steps if step.bound <= max_error), default=None)

    def weigh(self, point: str, scores: "Scores", max_error: float) -> Weighed:
        """At the point of this name. max_error: a share, as 0.05. Pure; of equal scores the first is the choice."""
        choice = max(range(len(scores)), key=scores.__getitem__)
        sure = self.confidence(scores)
        threshold = self.threshold(max_error)
        if threshold is None:
            why = f"the policy may not decide alone: {self.tested_on} questions do not show that at most "
            return Weighed(choice, sure, None, f"{why}{percent(max_error)} of its answers at {point} would be wrong")
        where = "however sure it is" if not threshold else f"from {percent(threshold)} on"
        if sure < threshold:
            where = f"only {where}"
        why = f"the policy is {percent(sure)} sure, and {where}, at most {percent(max_error)} of its answers are wrong"
        return Weighed(choice, sure, threshold, why)


class Calibration(msgspec.Struct, frozen=True):
    """Of one policy. policy: its version (`Engine.version`). data: digest of what made the questions: of the generator
    where they were simulated, of the data sets where people and advisors answered them."""

    policy: str
    data: str
    points: dict[str, PointCalibration]
    v: int = 1
    source: Literal["simulated", "answered"] = "simulated"

    def covers(self, point: str, version: int) -> bool:
        """Whether the policy was calibrated for this version of the point."""
        known = self.points.get(point)
        return known is not None and known.version == version


def masses(scores: "Scores") -> tuple[float, float, float]:
    """Logarithms of the probability of the best label, of the second, and of all others together."""
    ordered = sorted(scores, reverse=True)
    rest = math.fsum(math.exp(score) for score in ordered[2:])
    floor = math.log(FLOOR)
    return max(ordered[0], floor), max(ordered[1], floor), math.log(max(rest, FLOOR))


def tempered(scores: "Scores", temperature: float) -> "Scores":
    """Logarithms of the probabilities at a temperature; they sum to 1 again."""
    scaled = [score / temperature for score in scores]
    top = max(scaled)
    total = top + math.log(math.fsum(math.exp(score - top) for score in scaled))
    return tuple(score - total for score in scaled)


def load(path: Path, policy: str) -> Calibration:
    """The calibration of this version of a policy. Raises Refused where it is missing, unreadable or another one's."""
    cure = "calibrate this policy: `elias train policy` does it at its end"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Calibration)
    except FileNotFoundError:
        raise Refused("calibration_missing", "the policy has no calibration", place=str(path), cure=cure) from None
    except msgspec.MsgspecError as error:
        raise Refused("calibration_unreadable", str(error), place=str(path), cure=cure) from None
    if found.policy != policy:
        message = f"the calibration is of policy {found.policy[:12]}, not of {policy[:12]}"
        raise Refused("calibration_foreign", message, place=str(path), cure=cure)
    return found


def save(calibration: Calibration, path: Path) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(calibration), indent=1) + b"\n")


def percent(share: float) -> str:
    return f"{100 * share:.3g} %"
