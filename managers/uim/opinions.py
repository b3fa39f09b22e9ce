"""What the policy and an advisor said to a decision, as people read it."""

import math
from typing import Any

from pydantic import BaseModel

from federation.records import Advised as AdvisedRecord
from federation.records import Asked, Candidate
from federation.records import Scored as ScoredRecord


class Scored(BaseModel):
    """What the policy gave a candidate. probability: as it scored; they sum to 1 over the candidates offered."""

    action: str
    args: dict[str, Any]
    probability: float
    chosen: bool


class Opinion(BaseModel):
    """What the policy said. policy: its version; empty: no engine answered. confidence: calibrated probability that its
    choice is right; threshold: from which it decides alone; null: it may not. tier: who answered therefore."""

    policy: str
    engine: str
    tier: str
    confidence: float | None
    threshold: float | None
    reason: str
    candidates: list[Scored]


class Advice(BaseModel):
    """What an advisor said. model: empty: none answered, and `reason` says why. action: what it chose; empty: it asks
    for a person. confidence: its own. words: why. tier: who answered therefore. cost: US dollars. seconds: it took."""

    provider: str
    model: str
    action: str
    args: dict[str, Any] = {}
    confidence: float | None
    words: str
    tier: str
    reason: str
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: float
    seconds: float


def opinion_of(asked: Asked, scored: ScoredRecord) -> Opinion:
    candidates = [
        Scored(
            action=asked.candidates[index].action,
            args=asked.candidates[index].args,
            probability=math.exp(log),
            chosen=index == scored.choice,
        )
        for index, log in zip(scored.offered, scored.logs, strict=True)
    ]
    return Opinion(
        policy=scored.policy,
        engine=scored.engine,
        tier=scored.tier,
        confidence=scored.confidence,
        threshold=scored.threshold,
        reason=scored.reason,
        candidates=candidates,
    )


def advice_of(asked: Asked, advised: AdvisedRecord) -> Advice:
    chosen = asked.candidates[advised.choice] if advised.choice is not None else Candidate("")
    known = {name: getattr(advised, name) for name in Advice.model_fields if hasattr(advised, name)}
    return Advice(action=chosen.action, args=chosen.args, **known)
