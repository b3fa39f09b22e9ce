"""A circuit breaker: what keeps failing is left alone for a while, and asked again by one question. Engines of the
policy and advisors have one each.

States and names as in Nygard, Release It! (2007), chapter 5.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from federation.clock import SECOND, Clock


class State(StrEnum):
    CLOSED = "closed"  # questions go through
    OPEN = "open"  # none goes through until the cool-down is over
    HALF_OPEN = "half_open"  # one question probes, the others go elsewhere


@dataclass(frozen=True)
class Limits:
    """When a breaker opens, and for how long. Durations in seconds."""

    failures: int = 3
    """So many within `window` open it; 0: it never opens."""
    window: float = 10.0
    """Sliding. Shorter than this, a hiccup and a hiccup an hour later are two hiccups."""
    cool_down: float = 2.0
    """The first time; doubled by each probe that fails."""
    longest: float = 30.0
    """What doubling ends at: a server that is back is used again within this time."""
    jitter: float = 0.25
    """Share of the cool-down by which it is lengthened at random, so that many clients do not probe at once."""


DEFAULT = Limits()


class Breaker:
    """Each question that `admit` gives a ticket to is reported once, by `succeeded`, `failed` or `abandoned`.

    A ticket of an earlier state says nothing about this one: a late failure from before the cool-down does not end the
    probe. Touches nothing but the clock it is given.
    """

    def __init__(self, clock: Clock, random: Random, limits: Limits = DEFAULT) -> None:
        self._clock = clock
        self._random = random
        self._limits = limits
        self._failures: deque[int] = deque(maxlen=limits.failures)
        self._reopened = 0  # probes that failed, in a row
        self._until = 0  # ledger time (ns) at which the cool-down ends
        self._closed = True
        self._probing = False
        self._epoch = 0

    @property
    def state(self) -> State:
        if self._closed:
            return State.CLOSED
        return State.HALF_OPEN if self._clock.now() >= self._until else State.OPEN

    @property
    def ready(self) -> bool:
        """Whether a question may go through now; in half-open one does, and is the probe."""
        return self._closed or (self.state is State.HALF_OPEN and not self._probing)

    def admit(self) -> int:
        """The ticket of a question that goes through; only when `ready`."""
        self._probing = not self._closed
        return self._epoch

    def succeeded(self, ticket: int) -> None:
        if ticket == self._epoch and not self._closed:
            self._closed, self._probing, self._reopened = True, False, 0
            self._epoch += 1
            self._failures.clear()

    def failed(self, ticket: int) -> None:
        if ticket != self._epoch:
            return
        now = self._clock.now()
        self._failures.append(now)
        many = 0 < self._limits.failures == len(self._failures)
        if not self._closed:
            self._reopened += 1
            self._open(now)
        elif many and now - self._failures[0] <= self._limits.window * SECOND:
            self._open(now)

    def abandoned(self, ticket: int) -> None:
        """Whoever asked went away before there was an answer: it says nothing, and another question may probe."""
        if ticket == self._epoch:
            self._probing = False

    def _open(self, now: int) -> None:
        limits = self._limits
        length = min(limits.longest, limits.cool_down * 2 ** min(self._reopened, 30))
        self._until = now + round(length * (1 + limits.jitter * self._random.random()) * SECOND)
        self._closed, self._probing = False, False
        self._epoch += 1
