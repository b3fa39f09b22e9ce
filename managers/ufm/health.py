"""The health of one node as its checks have found it."""

from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec

from federation.clock import SECOND

MINUTE = 60 * SECOND


class Health(msgspec.Struct):
    """What was seen of a node since this process started. Times are ledger time, ns."""

    reported: int
    checked: int
    missed: int = 0
    passed: int = 0
    failures: deque[int] = msgspec.field(default_factory=deque)
    report: Mapping[str, Any] = {}

    def check(self, alive: bool, now: int) -> None:
        """One health check, passed or missed."""
        self.checked = now
        self.missed, self.passed = (0, self.passed + 1) if alive else (self.missed + 1, 0)
        if not alive:
            self.failures.append(now)
        while self.failures and self.failures[0] <= now - MINUTE:
            self.failures.popleft()

    def facts(self, now: int) -> dict[str, Any]:
        """Of `ufm.node_health`: rates per second, durations in seconds."""
        return {
            "missed": self.missed,
            "passed": self.passed,
            "failures": len(self.failures) / 60,
            "silence": (now - self.reported) / SECOND,
        }
