"""How long the managers were away after each fault, from the requests of the clients. Pure."""

import math
import statistics
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.history import CERTAIN, History, Request, Struck
from tests.chaos.kinds import FOUND_HUNG, KINDS, PARTS, SHARED


@dataclass(frozen=True, slots=True)
class Recovery:
    """since: from when the time counts; seconds: until every part that the fault concerns has answered a request that
    was sent later; infinite where one never did. alone: no other fault was in force, or not yet overcome, meanwhile.
    """

    strike: Struck
    since: float
    seconds: float
    alone: bool = True

    @property
    def back(self) -> float:
        return self.since + self.seconds


@dataclass(frozen=True, slots=True)
class Line:
    """The recoveries of one kind of fault, in seconds. within: how many were back in time."""

    kind: str
    struck: int
    alone: int
    median: float
    p99: float
    worst: float
    alone_worst: float
    bound: float
    within: int

    @property
    def met(self) -> bool:
        return not self.bound or self.within == self.struck


def recoveries(history: History) -> list[Recovery]:
    """One for each fault that struck.

    The time begins with the fault, or where nothing can be decided while it lasts, with its end. Where such an outage
    comes in between, it begins anew with the end of that one: what is down with the database is not the fault's doing.
    """
    struck = [strike for strike in history.strikes if not strike.missed]
    answers = _Answers(history.requests)
    outages = [(strike.began, _over(strike)) for strike in struck if _over(strike) > strike.began]
    found = [_recovery(strike, answers, outages) for strike in struck]
    return [
        Recovery(
            one.strike, one.since, one.seconds, not any(_beside(one, other) for other in found if other is not one)
        )
        for one in found
    ]


def table(found: Iterable[Recovery]) -> list[Line]:
    """A line for each kind, in the order of `KINDS`."""
    by_kind = dict[str, list[Recovery]]()
    for recovery in found:
        by_kind.setdefault(recovery.strike.fault.kind, []).append(recovery)
    return [_line(kind, by_kind[kind]) for kind in KINDS if kind in by_kind]


def concerned(strike: Struck) -> tuple[str, ...]:
    """The parts that a fault may keep from answering."""
    target = strike.fault.target
    return (target,) if target in PARTS and target not in SHARED else PARTS


class _Answers:
    """Of each part: when the requests were sent that it answered, and when it did."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._by_part: dict[str, list[tuple[float, float]]] = {part: [] for part in PARTS}
        for request in requests:
            if request.result == CERTAIN and request.part in self._by_part:
                self._by_part[request.part].append((request.began, request.ended))
        for answered in self._by_part.values():
            answered.sort()

    def after(self, since: float, parts: Iterable[str]) -> float:
        """When the last of these parts has answered what was sent since then."""
        return max(self._first(self._by_part[part], since) for part in parts)

    @staticmethod
    def _first(answered: list[tuple[float, float]], since: float) -> float:
        at = bisect_left(answered, (since, 0.0))
        return min((ended for _, ended in answered[at : at + 20]), default=math.inf)


def _recovery(strike: Struck, answers: _Answers, outages: Sequence[tuple[float, float]]) -> Recovery:
    since = strike.ended if _is_outage(strike) else strike.began
    least = strike.ended if KINDS[strike.fault.kind].slow else since
    parts = concerned(strike)
    while True:
        back = answers.after(max(since, least), parts)
        later = max((end for begin, end in outages if begin < back and end > max(since, least)), default=since)
        if later == since or math.isinf(back):
            return Recovery(strike, since, back - since)
        since = later


def _is_outage(strike: Struck) -> bool:
    return strike.fault.target in KINDS[strike.fault.kind].outage


def _over(strike: Struck) -> float:
    """Until when nothing can be decided because of it; a shared part that hangs is replaced at last."""
    if _is_outage(strike) or KINDS[strike.fault.kind].slow:
        return strike.ended
    if strike.fault.kind == "pause" and strike.fault.target in SHARED:
        return min(strike.ended, strike.began + FOUND_HUNG)
    return strike.began


def _beside(one: Recovery, other: Recovery) -> bool:
    """Whether the other fault was in force, or not overcome, while the first one was being overcome."""
    return other.strike.began < one.back and max(other.strike.ended, other.back) > one.since


def _line(kind: str, found: Sequence[Recovery]) -> Line:
    seconds = sorted(one.seconds for one in found)
    bound = KINDS[kind].bound
    return Line(
        kind,
        len(seconds),
        sum(one.alone for one in found),
        statistics.median(seconds),
        seconds[math.ceil(0.99 * len(seconds)) - 1],
        seconds[-1],
        max((one.seconds for one in found if one.alone), default=0.0),
        bound,
        sum(one <= bound for one in seconds) if bound else len(seconds),
    )
