"""What a policy reached on a set of questions, as it is kept: the figures, and question by question what they are made
of, so that two results on the same questions can be compared pair by pair (training/evaluation/compare.py).

    simulated   questions of the simulated world, whose right answers and whose regret are known
    logged      decisions of a data set: right is what an advisor or an operator answered, and what the policy would
                have reached is an estimate (`Worth`)
"""

import hashlib
from typing import Literal

import msgspec

from training.ope.estimators import Estimate

FORMAT = 1

Interval = tuple[float, float]
"""95 %, by bootstrap: training/evaluation/bootstrap.py."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """accuracy: share that is right of what is decided alone; None where nothing is. coverage: share decided alone.
    ece: expected calibration error of the confidence of all questions. right: share that is right of all choices, alone
    or not. regret: mean of all choices, in the unit of the point; None where it is not known. All but the first are
    None where there is no question. intervals: by the name of the figure."""

    questions: int
    accuracy: float | None
    coverage: float | None
    ece: float | None
    right: float | None
    regret: float | None
    intervals: dict[str, Interval] = {}


class Beside(Figures, frozen=True, kw_only=True):
    """A baseline. Its regret less the policy's, and the policy's coverage less its own, as intervals of the paired
    bootstrap: above 0 the policy is better."""

    regret_saved: Interval
    coverage_won: Interval


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds of one question asked alone, with its rendering, on the machine that measured."""

    p50: float
    p99: float


class Tokens(msgspec.Struct, frozen=True):
    """That the policy reads for one decision; it answers with one."""

    mean: float
    longest: int


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy would have reached, estimated from what was decided: rewards of one decision in the unit of the
    point. decisions: that tell it; effective: how many of the policy's own would tell as much. logged: was reached.
    doubly_robust: would have been; gain: the difference. each: the decisions' parts of `doubly_robust`."""

    decisions: int
    effective: float
    logged: Estimate
    doubly_robust: Estimate
    gain: Estimate
    each: list[float]


class Refusal(msgspec.Struct, frozen=True):
    """Why there is no `Worth`."""

    code: str
    reason: str
    cure: str


class Reached(Figures, frozen=True, kw_only=True):
    """Of a policy. best_reachable: share that the best possible policy gets right, from many completions of each
    question; held_out: on the family that nothing was trained, calibrated or chosen on; baselines: by name. These three
    in the simulated world alone. Of all points together, regret is the share that is left of choosing at random."""

    latency: Latency | None = None
    tokens: Tokens | None = None
    best_reachable: float | None = None
    held_out: Figures | None = None
    baselines: dict[str, Beside] = {}


class AtPoint(Reached, frozen=True, kw_only=True):
    """At one decision point. On logged decisions alone: worth, or why there is none; agreed, share of the answers of
    each tier that the policy would have given."""

    max_error: float
    unit: str
    worth: Worth | None = None
    refused: Refusal | None = None
    agreed: dict[str, float] = {}


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """One entry a question, in the order of the questions. sure: confidence. alone: whether the policy would decide.
    regret: in the unit of the point; empty where it is not known. scale: what choosing at random costs."""

    sure: list[float]
    right: list[bool]
    alone: list[bool]
    regret: list[float]
    scale: float = 1.0


class Kept(msgspec.Struct, frozen=True):
    """A general ability, seen through texts that have nothing to do with decisions: training/evaluation/probe.py.

    right: share of the items whose true ending was the likeliest; chance: what guessing gets. known: share of the items
    whose endings the policy's words can tell apart; where it is small there is no general ability. nats: by item, minus
    the log-likelihood of the true ending, a byte."""

    right: float
    chance: float
    known: float
    nats: list[float]


class Source(msgspec.Struct, frozen=True):
    """Where the questions are from. digest: of the generator, or of the data set. count: questions of each point;
    0: all there are."""

    kind: Literal["simulated", "logged"]
    digest: str
    split: str
    count: int


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Of one policy. policy: its version; name: of its folder. at: when it was measured, RFC 3339. calibrated: digest
    of what made the questions that it was calibrated on; empty: it is not calibrated, and decides nothing alone."""

    policy: str
    name: str
    at: str
    source: Source
    calibrated: str
    overall: Reached
    points: dict[str, AtPoint]
    answers: dict[str, Answers]
    kept: Kept | None = None
    format: int = FORMAT

    @property
    def digest(self) -> str:
        """Names it; 64 hex digits."""
        return hashlib.sha256(encoded(self)).hexdigest()


def encoded(evaluation: Evaluation) -> bytes:
    """As it is kept: JSON, always the same bytes."""
    return msgspec.json.encode(evaluation, order="sorted")
