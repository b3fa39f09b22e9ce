"""What the sender of an event hears: the decision, or why there is none."""

from collections.abc import Sequence
from typing import Any

import msgspec

from federation.cases import Case
from federation.life import life_of
from federation.records import Answered, Record


class Reply(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What the sender of an event hears of one decision. status: answered, or waiting while its case is open."""

    id: str
    point: str
    subject: str
    status: str
    action: str = ""
    args: dict[str, Any] = {}
    tier: str = ""
    clause: str = ""
    reason: str = ""
    mode: str = ""
    until: int = 0
    duplicate: bool = False


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """An event that is refused: the sender's mistake, with a cure. status is the HTTP status that fits."""

    status: int
    code: str
    message: str
    place: str = ""
    cure: str = ""


def reply_of(records: Sequence[Record]) -> Reply | None:
    """What a sender would hear of a decision, from its records."""
    life = life_of(records)
    if life is None:
        return None
    header, asked = records[0].header, life.asked
    if life.answered is None:
        return Reply(
            header.decision,
            header.point,
            header.subject,
            "waiting",
            clause=asked.clause,
            reason=asked.reason,
            until=asked.until,
        )
    return answered_reply(header.decision, header.point, header.subject, life.answered)


def waiting_reply(case: Case) -> Reply:
    """The reply to a decision that waits for the policy or for a person."""
    return Reply(
        case.decision,
        case.point,
        case.subject,
        "waiting",
        tier=case.tier,
        clause=case.clause,
        reason=case.reason,
        until=case.until,
    )


def answered_reply(decision: str, point: str, subject: str, answered: Answered) -> Reply:
    """The reply to a decision that is answered."""
    return Reply(
        decision,
        point,
        subject,
        "answered",
        answered.action,
        answered.args,
        answered.tier,
        answered.clause,
        answered.reason,
        answered.mode,
    )
