"""How long the managers were away after each fault, from the requests of the clients. Pure."""

import math
import statistics
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tests.chaos.history import CERTAIN, History, Request, Struck
from tests.chaos.kinds import FOUND_HUNG, KINDS, PARTS, ROOT, SHARED


@dataclass(frozen=True, slots=True)
class Recovery:
    """seconds: until a part that the fault concerns has answered a request that was sent later, or was struck again;
    the longest that one of them took, counted since `since`; infinite where one never answered. back: when all had.
    alone: no other fault was in force, or not yet overcome, meanwhile.
    """

    strike: Struck
    since: float
    seconds: float
    back: float
    alone: bool = True


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

    The time begins with the fault, or where nothing can be decided while it lasts, with its end. Where another fault
    strikes who is still away, or whoever it waits for, the time of that part begins anew with that one, and where that
    one keeps it away, with its end: what is down with the database is not the fault's doing. The longest time counts.
    """
    struck = [strike for strike in history.strikes if not strike.missed]
    answers = _Answers(history.requests)
    away = [_away(strike) for strike in struck]
    found = [_recovery(strike, answers, away) for strike in struck]
    return [replace(one, alone=not any(_beside(one, other) for other in found if other is not one)) for one in found]


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

    def after(self, since: float, part: str) -> float:
        """When this part has answered what was sent since then."""
        answered = self._by_part[part]
        at = bisect_left(answered, (since, 0.0))
        return min((ended for _, ended in answered[at : at + 20]), default=math.inf)


@dataclass(frozen=True, slots=True)
class _Away:
    """Whom a fault keeps from answering, and from when to when; a kill strikes at one moment."""

    strike: Struck
    parts: tuple[str, ...]
    end: float


def _away(strike: Struck) -> _Away:
    kind, target = strike.fault.kind, strike.fault.target
    if _is_outage(strike) or KINDS[kind].slow:
        return _Away(strike, PARTS, strike.ended)
    if kind not in ("kill", "pause") or target not in (*PARTS, *SHARED, ROOT):
        return _Away(strike, (), strike.began)
    # A part that hangs is replaced at last.
    end = strike.ended if target == ROOT else min(strike.ended, strike.began + FOUND_HUNG)
    return _Away(strike, concerned(strike), end)


def _recovery(strike: Struck, answers: _Answers, away: Sequence[_Away]) -> Recovery:
    since = strike.ended if _is_outage(strike) else strike.began
    least = strike.ended if KINDS[strike.fault.kind].slow else since
    longest, back = (since, since), since
    for part in concerned(strike):
        others = [one for one in away if one.strike is not strike and part in one.parts]
        for begin, end in _stretches(part, since, least, answers, others):
            longest = max(longest, (begin, end), key=lambda stretch: stretch[1] - stretch[0])
            back = max(back, end)
    return Recovery(strike, longest[0], longest[1] - longest[0], back)


def _stretches(
    part: str, since: float, least: float, answers: _Answers, others: Sequence[_Away]
) -> Iterator[tuple[float, float]]:
    """From when to when a part was away, without the times in which another fault kept it so. A kill, which keeps
    nobody, ends one stretch and begins the next."""
    for other in sorted(others, key=lambda other: other.strike.began):
        back = answers.after(max(since, least), part)
        if other.strike.began < back and other.end > max(since, least):
            if other.strike.began > since:
                yield since, other.strike.began
            since = other.end
    yield since, answers.after(max(since, least), part)


def _is_outage(strike: Struck) -> bool:
    return strike.fault.target in KINDS[strike.fault.kind].outage


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
