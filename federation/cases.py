"""Asked decisions that wait for the policy, an advisor or a person, and when each is due."""

import heapq
from collections.abc import Iterator

import msgspec


class Case(msgspec.Struct, gc=False):
    """An asked decision that waits. The evidence is in its asked record. tier: whom it waits for: policy, advisor
    or operator. What waits for the policy does so for milliseconds and is shown to nobody; what waits for an advisor
    does so for seconds, and a person may answer it before."""

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
        self.advising = {case.decision: case for case in open_.values() if case.tier == "advisor"}
        self._deadlines = [(case.until, case.decision) for case in open_.values()]
        heapq.heapify(self._deadlines)

    def add(self, case: Case) -> None:
        self.open[case.decision] = case
        self._awaited(case)
        heapq.heappush(self._deadlines, (case.until, case.decision))

    def close(self, decision: str) -> None:
        self.open.pop(decision, None)
        self.consulting.pop(decision, None)
        self.advising.pop(decision, None)

    def raise_to(self, decision: str, tier: str, reason: str) -> None:
        """The policy, or the advisor, does not answer it: the next tier is to."""
        case = self.consulting.pop(decision, None) or self.advising.pop(decision, None)
        if case is not None:
            case.tier, case.reason = tier, reason
            self._awaited(case)

    def _awaited(self, case: Case) -> None:
        if case.tier == "policy":
            self.consulting[case.decision] = case
        elif case.tier == "advisor":
            self.advising[case.decision] = case

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
