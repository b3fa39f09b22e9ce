"""What came of a decision: its newest attempt, folded from its records."""

from collections.abc import Sequence
from typing import NamedTuple

from federation.records import Advised, Answered, Asked, Effect, Outcome, Record, Scored, decode


class Life(NamedTuple):
    """scored, advised, answered: of the newest attempt. effects, outcome: of the decision."""

    asked: Asked
    scored: Scored | None
    advised: Advised | None
    answered: Answered | None
    effects: list[Effect]
    outcome: Outcome | None


def life_of(records: Sequence[Record]) -> Life | None:
    """records: of one decision, in order. None: it was never asked."""
    asked: Asked | None = None
    scored: Scored | None = None
    advised: Advised | None = None
    answered: Answered | None = None
    outcome: Outcome | None = None
    effects: list[Effect] = []
    for record in records:
        body = decode(record.header.kind, record.body)
        match body:
            case Asked():
                asked, scored, advised, answered = body, None, None, None
            case Scored():
                scored = body
            case Advised() if body.tier != "late":
                advised = body
            case Answered():
                answered = body
            case Effect():
                effects.append(body)
            case Outcome():
                outcome = body
    return None if asked is None else Life(asked, scored, advised, answered, effects, outcome)
