"""What node agents report of the applications' processes. Telemetry: kept in memory, gone with the manager."""

from collections.abc import Mapping
from typing import Any

import msgspec

from federation.clock import SECOND
from managers.uam.points import FRESH


class Seen(msgspec.Struct, frozen=True):
    """A process in its node's newest report. effect: the decision that started it. since: of its start or end, ns. ran:
    seconds until it ended. memory: bytes; when it was last seen running, where it has ended."""

    node: str
    effect: str
    digest: str
    running: bool
    since: int
    pid: int = 0
    ran: float | None = None
    exit_code: int | None = None
    memory: int | None = None
    failed_checks: int | None = None

    @property
    def status(self) -> str:
        if not self.running:
            return "exited"
        return "unhealthy" if self.failed_checks else "running"


class Sight:
    """processes: by instance (`web/0`). strays: those that run where they do not belong, since they were started
    elsewhere while their node was away. now: ledger time of the newest look, ns."""

    def __init__(self) -> None:
        self.processes: dict[str, Seen] = {}
        self.strays: dict[str, Seen] = {}
        self.now = 0
        self._began: int | None = None
        self._free: dict[str, int] = {}
        self._reported: dict[str, int] = {}
        self._outdated: dict[str, str] = {}

    def take(self, report: Mapping[str, Any], now: int, homes: Mapping[str, str]) -> None:
        """A node's report. homes: where instances were started; what another node shows of one is a stray."""
        node = str(report["node"])
        self.look(now)
        self._reported[node], self._free[node] = now, int(report.get("memory_free", 0))
        theirs = {
            key: _seen(node, p, now, self.processes.get(key))
            for p in report.get("processes", ())
            for key in (f"{p['app']}/{p['instance']}",)
        }
        kept = {key: seen for key, seen in self.processes.items() if seen.node != node}
        at_home = {key: seen for key, seen in theirs.items() if homes.get(key, node) in ("", node)}
        self.processes = kept | at_home
        strays = {key: seen for key, seen in theirs.items() if key not in at_home and seen.running}
        self.strays = {key: seen for key, seen in self.strays.items() if seen.node != node} | strays
        self._outdated = {key: where for key, where in self._outdated.items() if where != node}

    def look(self, now: int) -> None:
        self.now = max(self.now, now)
        self._began = now if self._began is None else self._began

    def silence(self, node: str) -> float:
        """Seconds since a node was heard; of one that never was, since the first look."""
        since = self._reported.get(node, self._began)
        return 0.0 if since is None else (self.now - since) / SECOND

    def free(self, node: str) -> int:
        """Bytes of memory, as the node told."""
        return self._free.get(node, 0)

    def outdate(self, key: str, node: str) -> None:
        """Something was done to an instance: what was seen of it counts no more, until its node reports again."""
        self.processes.pop(key, None)
        self.strays.pop(key, None)
        self._outdated[key] = node

    def outdated(self, key: str) -> bool:
        return key in self._outdated

    def runs(self, key: str) -> bool:
        return key in self.processes and self.processes[key].running

    def fresh(self, node: str) -> bool:
        return node in self._reported and self.now - self._reported[node] <= round(FRESH * SECOND)

    def nodes(self) -> list[str]:
        """Those that reported lately, by name."""
        return sorted(node for node in self._reported if self.fresh(node))


def _seen(node: str, process: Mapping[str, Any], now: int, before: Seen | None) -> Seen:
    """before: how this instance was seen last."""
    last = before.memory if before is not None and before.effect == process["effect"] else None
    running = process["status"] == "running"
    since = now - round(float(process["uptime" if running else "ended"]) * SECOND)
    return Seen(
        node,
        process["effect"],
        process["digest"],
        running,
        since,
        process.get("pid", 0),
        process.get("ran"),
        process.get("exit_code"),
        process.get("memory", last),
        process.get("failed_checks"),
    )
