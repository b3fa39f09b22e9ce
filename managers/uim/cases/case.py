"""What is kept of a case, and of the alike cases that stand together as one group."""

from typing import Any

import msgspec

from federation.records import CaseWord
from federation.targets import Priority

WORDS = 100  # kept of a group; all of them are on the ledger


class Option(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What may be answered. candidate: its index among the asked candidates."""

    candidate: int
    action: str
    args: dict[str, Any] = {}


class Case(msgspec.Struct, omit_defaults=True):
    """A decision that waits. Times are ledger times in ns; at `until` the spec's `on_timeout` answers.

    group: id of the group that it belongs to. options: what may be answered. proposed: which of them the policy or an
    advisor (`proposer`) would have chosen, or the one that is not to do nothing; -1: none. confidence: of the policy,
    calibrated; of an advisor, its own.
    """

    id: str
    point: str
    subject: str
    attempt: int
    opened: int
    until: int
    clause: str
    reason: str
    priority: Priority
    options: list[Option]
    alike: str
    group: str = ""
    proposed: int = -1
    proposer: str = ""
    confidence: float | None = None

    @property
    def manager(self) -> str:
        return self.point.partition(".")[0]

    @property
    def proposal(self) -> Option | None:
        return self.options[self.proposed] if self.proposed >= 0 else None


class Closed(msgspec.Struct, gc=False, omit_defaults=True):
    """How a case ended."""

    group: str
    subject: str
    action: str
    tier: str
    by: str = ""


class Group(msgspec.Struct, omit_defaults=True):
    """Alike cases: one thing to look at. Its id is the id of its first case. Times are ledger times in ns.

    alike: what its cases have in common. actions: what they offer. opened, latest: when its first and its newest case
    was opened. cases: those that are open, with the time at which each was opened. answered: how many were, in whatever
    way; kept: how many of these are remembered. due: by when they ought to be answered; raised: that was missed.
    holder: who has it; acknowledged: and has said so. spoken: when the holder last said something. snoozed: until when
    nobody wants to hear of it; 0: it is awake. words: what was said, the oldest first. chain: who hears of it, where
    somebody delegated it to a chain; step: the number of the next notification; since, first: when the escalation under
    way began, and with which number.
    """

    id: str
    alike: str
    point: str
    clause: str
    actions: list[str]
    priority: Priority
    opened: int
    due: int
    latest: int = 0
    cases: dict[str, int] = {}
    answered: int = 0
    kept: int = 0
    raised: bool = False
    holder: str = ""
    acknowledged: bool = False
    spoken: int = 0
    snoozed: int = 0
    words: list[CaseWord] = []
    chain: str = ""
    since: int = 0
    first: int = 0
    step: int = 0

    @property
    def manager(self) -> str:
        return self.point.partition(".")[0]

    def escalate(self, at: int) -> None:
        """Begin to tell people anew, under numbers that were not used before."""
        self.since, self.first = at, self.step + 1
        self.step = self.first
