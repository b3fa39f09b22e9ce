"""One clock for every part. Ledger time is nanoseconds since 1970; tests and simulations drive the same parts with a
virtual one.
"""

import time
from typing import Protocol

SECOND = 1_000_000_000
DAY = 86_400 * SECOND


class Clock(Protocol):
    def now(self) -> int:
        """Time in nanoseconds since 1970; never goes back."""
        ...


class SystemClock:
    """The machine's time at start, carried on by its monotonic clock: a step of the wall clock does not move ledger
    time back.
    """

    def __init__(self) -> None:
        self._origin = time.time_ns() - time.monotonic_ns()

    def now(self) -> int:
        return self._origin + time.monotonic_ns()


class VirtualClock:
    """Stands still until it is told to move."""

    def __init__(self, start: int = 1_700_000_000 * SECOND) -> None:
        self._now = start

    def now(self) -> int:
        return self._now

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._now += round(seconds * SECOND)
