"""The nodes of a foreign cluster at UFM: how they are, what is asked about them, and what people are shown.

Nothing of it is on the log but decisions: as telemetry, it is known again after the first look that follows a restart.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Generic, Protocol

import msgspec

from federation.clock import SECOND
from federation.manager import Target
from federation.records import Candidate
from managers.ufm.foreign.node import N, Picture, Source, Status
from managers.ufm.health import Health

SIGHT = 3.0  # looks that may be missing until what was seen before counts no more


class Watched(Protocol):
    """The settings of a foreign cluster. every: seconds between two looks."""

    @property
    def enabled(self) -> bool: ...

    @property
    def every(self) -> float: ...


class Sight:
    """How new the last look of an agent is. every: seconds between two looks."""

    def __init__(self, every: float) -> None:
        self.agent = ""  # the node whose agent looks, and acts
        self._every = every
        self._seen = 0  # when it saw something, in ledger time (ns)
        self._sees = False
        self._problem = "no word of it has come yet"

    def hear(self, report: Mapping[str, Any], now: int, *, saw: bool) -> None:
        self.agent, self._problem, self._sees = str(report["node"]), str(report["problem"]), saw
        if saw:
            self._seen = now

    def knows(self, now: int) -> bool:
        """Whether the newest look counts."""
        return self._sees and now - self._seen <= round(SIGHT * self._every * SECOND)

    def unused(self, checked: int) -> bool:
        """Whether there is a look newer than a check."""
        return self._sees and self._seen > checked

    def problem(self, now: int) -> str:
        """Why nothing is known; empty where the newest look counts."""
        late = f"{self.agent} has not told of it for {(now - self._seen) / SECOND:.0f} s"
        return "" if self.knows(now) else self._problem or late


class ForeignWatch(Generic[N]):
    """The newest look at a cluster. Where there is none that is new enough, nothing is known, and nothing is asked."""

    def __init__(self, source: Source[N], settings: Watched) -> None:
        self.source = source
        self.enabled = settings.enabled
        self.nodes: dict[str, N] = {}
        self.health: dict[str, Health] = {}
        self._sight = Sight(settings.every)
        self._picture: Picture[N] | None = None

    def hear(self, report: Mapping[str, Any], now: int) -> None:
        """The agent's report of a look: what it saw, or why it saw nothing."""
        seen = report[self.source.name]
        self._sight.hear(report, now, saw=seen is not None)
        if seen is None:
            self._picture = None
            return
        kind: Any = Picture[self.source.node]  # type: ignore[name-defined]
        picture: Picture[N] = msgspec.convert(seen, kind)
        self._picture = picture
        self.nodes = {self.source.prefix + node.name: node for node in picture.nodes}
        for name, node in self.nodes.items():
            self._note(name, node, now)
        for name in self.health.keys() - self.nodes.keys():
            del self.health[name]

    def _note(self, name: str, node: N, now: int) -> None:
        """A node is watched from when it was first seen to answer: one that was dead before is known to people."""
        if node.status not in (Status.UP, Status.DRAINED):
            self.health.pop(name, None)
        elif node.answers:
            self.health.setdefault(name, Health(now, now)).reported = now
        elif node.status is Status.DRAINED:
            self.health.setdefault(name, Health(now, now))

    def knows(self, now: int) -> bool:
        """Whether the newest look counts."""
        return self._sight.knows(now)

    def checked(self, interval: int, now: int) -> Iterator[str]:
        """Nodes that were checked now, because it was their turn. Every check is by a new look. interval: ns."""
        if not self.knows(now):
            return
        for name, health in self._unchecked():
            if now - health.checked >= interval:
                health.check(self.nodes[name].answers, now)
                yield name

    def wake(self, interval: int) -> int | None:
        """Ledger time (ns) of the next turn; None: not before another look."""
        return min((health.checked + interval for _, health in self._unchecked()), default=None)

    def _unchecked(self) -> Iterator[tuple[str, Health]]:
        """Those of which the newest look was not used for a check yet."""
        yield from ((name, health) for name, health in self.health.items() if self._sight.unused(health.checked))

    def facts(self, subject: str, now: int) -> dict[str, Any]:
        """Of `ufm.node_health`; what is missing is unknown."""
        if not self.knows(now) or subject not in self.health:
            return {}
        return {"status": str(self.nodes[subject].status), **self.health[subject].facts(now)}

    def candidates(self, subject: str) -> list[Candidate]:
        """What may be done: only what ELIAS drained does it bring back, and nothing while the cluster is out of
        sight."""
        hold, node = Candidate("hold"), self.nodes.get(subject)
        if node is None or self._picture is None:
            return [hold]
        if node.status is Status.UP:
            up = sum(n is node or (n.status is Status.UP and n.answers) for n in self.nodes.values())
            return [Candidate("drain", {}, {"fleet.up": up}), hold]
        return [Candidate("readmit"), hold] if node.status is Status.DRAINED else [hold]

    def target(self, subject: str) -> Target:
        """The agent that looks; caps may count by `node` and by the groups of the cluster."""
        node = self.nodes.get(subject)
        groups = node.groups if node else []
        payload = {self.source.name: subject.removeprefix(self.source.prefix)}
        return Target(self._sight.agent, [f"node:{subject}", *groups], payload)

    def view(self, now: int) -> list[dict[str, Any]]:
        """Its nodes as UFM shows nodes; where the cluster is out of sight, those of the last look, as unknown."""
        known = self.knows(now)
        return [self._shown(name, node, now, known=known) for name, node in sorted(self.nodes.items())]

    def _shown(self, name: str, node: N, now: int, *, known: bool) -> dict[str, Any]:
        health = self.health.get(name)
        down = node.status is Status.UP and node.down
        return {
            "name": name,
            "source": self.source.name,
            "cluster": self.source.title,
            "work": self.source.work,
            "status": ("down" if down else str(node.status)) if known else "unknown",
            "silence": (now - health.reported) / SECOND if health and known else None,
            "missed": health.missed if health else 0,
            "report": {
                "cpus": node.cpus,
                "memory_total": node.memory,
                "labels": list(node.labels),
                "state": node.state,
                "reason": node.reason,
                "by": node.by,
                "running": node.jobs,
            },
            "cpus": node.cpus,
            "cpu_free": node.cpus - node.cpus_used,
            "memory": node.memory,
            "memory_free": node.memory - node.memory_used,
            "gpus": node.gpus,
            "gpu_free": node.gpus - node.gpus_used,
            "model": node.model,
        }

    def summary(self, now: int) -> dict[str, Any] | None:
        """What is known of the cluster as a whole; None where it is not watched. problem: empty where it is in
        sight."""
        if not self.enabled:
            return None
        picture = self._picture if self.knows(now) else None
        return {
            "problem": self._sight.problem(now),
            "running": picture.running if picture else None,
            "pending": picture.pending if picture else None,
        }
