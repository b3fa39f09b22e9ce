"""What the newest decisions look like together: how many a minute, and who made them. Blocking: call it in a thread."""

from collections import Counter
from typing import NamedTuple

import msgspec

from federation.clock import SECOND
from federation.ledger.store import Store
from federation.records import Kind

SPAN = 60  # minutes
MOST = 2000  # decisions that are looked at: some 10 ms


class Trend(NamedTuple):
    """minutes: decisions in each, oldest first; the last one is not over. tiers: who answered, most first. whole: all
    decisions of the span are counted; otherwise only the newest `MOST`.
    """

    minutes: list[int]
    tiers: list[tuple[str, int]]
    whole: bool

    @property
    def total(self) -> int:
        return sum(self.minutes)


class _Answered(msgspec.Struct):
    tier: str


_tier = msgspec.json.Decoder(_Answered)


def trend(store: Store, now: int) -> Trend:
    """Of the last `SPAN` minutes before now (ns)."""
    minutes, tiers = [0] * SPAN, Counter[str]()
    records = store.latest(MOST, kinds=[Kind.ANSWERED])
    for record in records:
        age = max(0, now - record.header.time) // (60 * SECOND)
        if age >= SPAN:
            return Trend(minutes, tiers.most_common(), True)
        minutes[SPAN - 1 - age] += 1
        tiers[_tier.decode(record.body).tier] += 1
    return Trend(minutes, tiers.most_common(), len(records) < MOST)
