"""The health of nodes, as their reports and checks have found it."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from federation.clock import SECOND

MINUTE = 60 * SECOND
SIGHT = 3.0  # intervals of telemetry after which a node without a report is out of sight
ROUNDS = 10  # of checks at most in the interval between two checks of a node


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


class Healths:
    """Of all nodes that were heard since this process started. interval: of their reports, seconds."""

    def __init__(self, interval: float) -> None:
        self.of: dict[str, Health] = {}
        self.wake = 0
        """Ledger time (ns) of the next round of checks."""
        self._sight = round(SIGHT * interval * SECOND)
        self._newest = self._interval = 0

    def hear(self, node: str, report: Mapping[str, Any], now: int) -> bool:
        """Take its report; whether it had been out of sight."""
        self._newest = now
        health = self.of.get(node)
        if health is None:
            self.of[node] = Health(now, now, report=report)
            return False
        returned = now - health.reported > self._sight
        health.reported, health.report = now, report
        return returned

    def forget(self, node: str) -> None:
        self.of.pop(node, None)

    def check(self, nodes: Iterable[str], interval: int, now: int) -> Iterator[str]:
        """The nodes whose turn it was, each after its check. interval: ns between two checks of a node.

        In rounds, for each costs a tick of the log, and a look at every node: some thousand nodes report at any moment.
        """
        if now < self.wake and interval == self._interval:
            return
        earliest, self._interval = now, interval
        for node in nodes:
            health = self.of.setdefault(node, Health(now, now))
            if now - health.checked >= interval:
                health.check(now - health.reported < interval, now)
                yield node
            earliest = min(earliest, health.checked)
        self.wake = max(earliest + interval, now + interval // ROUNDS)

    def seen(self, node: str) -> bool:
        """Whether it reported lately, by the newest report of all; one that never did counts as seen."""
        return node not in self.of or self._newest - self.of[node].reported <= self._sight
