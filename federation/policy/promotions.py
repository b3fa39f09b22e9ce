"""The records by which policies come in and take their turns. `federation.records` knows them by their kinds."""

from typing import Any, Literal

import msgspec

from federation.policy.arms import BLOCK
from federation.policy.calibration import PointCalibration


class Estimate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a policy is expected to gain over the champion at a point, from what was decided in the past.

    improvement, low: percent; `low` is the lower end of the 95 % interval. of: `reward`, of the champion's mean reward;
    or `answers`, of all answers of people: by how many more of them it chooses the same than the champion does.
    speed: how many times as fast it answers; null: not measured. decisions: that it rests on.
    """

    improvement: float
    low: float
    speed: float | None
    decisions: int
    of: Literal["reward", "answers"] = "reward"


class Lot(msgspec.Struct, frozen=True):
    """Whom a decision fell to where a challenger was in its canary. trial: its number at the point. arm: `champion` or
    `challenger`. unit: what the lot was drawn for (`federation.policy.arms`). share: of the units, the challenger's."""

    trial: int
    arm: str
    unit: str
    share: float


class Registered(msgspec.Struct, frozen=True, gc=False):
    """A policy is in the store (`federation.policy.artefacts`), and can be tried at the points that it was made for.

    policy: its version. content: SHA-256 over all of its files, as hex. name, parameters, preset, data, metrics: of its
    card; `data` names the data set that it was trained on. calibration: SHA-256 of its calibration. points: versions of
    the points that it is calibrated for. estimates: by point, what it is expected to gain over the champion. signers:
    the names of the keys that signed it and are trusted here. source: where it came from, a folder or the decision of
    the training that made it. at: ledger time (ns).
    """

    policy: str
    content: str
    name: str
    parameters: int
    preset: dict[str, Any]
    data: dict[str, Any]
    metrics: dict[str, dict[str, float]]
    calibration: str
    points: dict[str, int]
    estimates: dict[str, Estimate]
    signers: list[str]
    source: str
    by: str
    at: int
    v: int = 1


class Promotion(msgspec.Struct, frozen=True, gc=False):
    """How far a challenger has come at a point: one step of its trial (`federation.policy.registry`).

    number: of this step at the point, from 1; the first of a number counts. trial: of the trial at the point, from 1.
    challenger, champion: versions of policies; an empty champion is what the settings name. stage: shadow, canary,
    champion, rolled_back (also of a champion, whose forerunner is back) or withdrawn. share: of the units that the
    challenger decides about from here on. calibration: the challenger's at this point, as it came with it; null: it
    goes back, or has none and decides nothing alone. block: length of the blocks of time that make the units of the
    trial, ns; that of its first step counts, so changed settings change no trial that runs. by, reason: of whoever
    wanted it. decision: of ulm.promotion;
    empty: a person's own word. at: ledger time (ns).
    """

    number: int
    trial: int
    challenger: str
    champion: str
    stage: str
    share: float
    calibration: PointCalibration | None
    by: str
    reason: str
    decision: str
    at: int
    block: int = BLOCK
    v: int = 1


class Shadowed(msgspec.Struct, frozen=True, gc=False):
    """What a challenger would have said to a decision that the champion was asked about. Nothing comes of it.

    trial: its number at the point. policy: version of the challenger. choice: index into the asked candidates.
    confidence: that it is right. alone: whether it would have answered alone. agrees: it is the champion's choice. at:
    ledger time (ns).
    """

    trial: int
    policy: str
    choice: int
    confidence: float
    alone: bool
    agrees: bool
    at: int
    attempt: int = 0
    v: int = 1
