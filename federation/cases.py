"""Asked decisions that wait for the policy or for a person, and when each is due."""

import heapq
from collections.abc import Iterator

import msgspec


class Case(msgspec.Struct, gc=False):
    """An asked decision that waits. The evidence is in its asked record. tier: whom it waits for, policy or operator;
    what waits for the policy does so for milliseconds and is shown to nobody."""

    decision: str
    point: str
    subject: str
    attempt: int
    opened: int
    until: int
    clause: str
    reason: str
    tier: str = "operator"


class Cases:
    """The open cases of one desk, by decision; the next deadline is found without looking at all of them."""

    def __init__(self, open_: dict[str, Case]) -> None:
        self.open = open_
        self.consulting = {case.decision: case for case in open_.values() if case.tier == "policy"}
        self._deadlines = [(case.until, case.decision) for case in open_.values()]
        heapq.heapify(self._deadlines)

    def add(self, case: Case) -> None:
        self.open[case.decision] = case
        if case.tier == "policy":
            self.consulting[case.decision] = case
        heapq.heappush(self._deadlines, (case.until, case.decision))

    def close(self, decision: str) -> None:
        self.open.pop(decision, None)
        self.consulting.pop(decision, None)

    def raise_to(self, decision: str, tier: str, reason: str) -> None:
        """The policy does not answer it: somebody else is to."""
        case = self.consulting.pop(decision, None)
        if case is not None:
            case.tier, case.reason = tier, reason

    def overdue(self, now: int) -> Iterator[Case]:
        """Cases whose deadline has passed, each once."""
        while self._deadlines and self._deadlines[0][0] <= now:
            case = self.open.get(heapq.heappop(self._deadlines)[1])
            if case is not None and case.until <= now:  # else it was answered, or asked again with a later deadline
                yield case

    def next_deadline(self) -> int | None:
        """Ledger time, ns."""
        while self._deadlines and self._deadlines[0][1] not in self.open:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None
