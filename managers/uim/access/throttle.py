"""How often one may guess: a few times, then after waits that double."""

import math
from collections import OrderedDict

from federation.clock import SECOND
from federation.errors import Refused

REMEMBERED = 10_000  # keys; the one that was silent longest is forgotten first
FORGET = 3600 * SECOND  # without a failure


class TooSoon(Refused):
    """Guessed too often. wait: seconds until the next guess is heard (HTTP 429 with Retry-After)."""

    def __init__(self, wait: float) -> None:
        self.wait = wait
        cure = f"try again in {math.ceil(wait)} s"
        super().__init__("too-many-tries", "too many sign-ins with a wrong name or password", cure=cure)


class Throttle:
    """Counts failures by a key, such as an address. free: failures without a wait. longest: seconds of a wait."""

    def __init__(self, free: int, longest: float) -> None:
        self._free = free
        self._longest = round(longest * SECOND)
        self._failures: OrderedDict[str, tuple[int, int]] = OrderedDict()  # key -> how many, when the last (ns)

    def wait(self, key: str, now: int) -> float:
        """Seconds until the next guess is heard; 0: at once."""
        count, last = self._known(key, now)
        if count < self._free:
            return 0.0
        pause = min(SECOND << min(count - self._free, 40), self._longest)
        return max(0, last + pause - now) / SECOND

    def failed(self, key: str, now: int) -> None:
        count, _ = self._known(key, now)
        self._failures[key] = (count + 1, now)
        self._failures.move_to_end(key)
        if len(self._failures) > REMEMBERED:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        self._failures.pop(key, None)

    def _known(self, key: str, now: int) -> tuple[int, int]:
        count, last = self._failures.get(key, (0, 0))
        return (0, 0) if now - last >= FORGET else (count, last)
