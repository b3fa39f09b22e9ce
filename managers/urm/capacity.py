"""What the nodes have, what jobs hold of it, and what is left.

Fed by the node agents' reports and by where jobs were placed. Kept in memory only: empty after a restart, until the
nodes report, which takes one report interval.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from federation.clock import SECOND
from managers.job import JobRequest
from managers.urm.points import SAMPLE_AGE

FORGET = 3600.0  # seconds of silence after which a node is no longer remembered
_SAMPLE_AGE = round(SAMPLE_AGE * SECOND)
_TREND = 120 * SECOND  # over how long the memory's trend is taken
_TREND_LEAST = 30 * SECOND  # less says nothing about a trend
_SLACK = 1e-9  # sums of cores and shares are compared with this much room for rounding

FIGURES = ("memory", "cpu", "gpu", "disk")


class Held(msgspec.Struct, frozen=True):
    """What a job holds on a node. gpus: index -> share."""

    node: str
    memory: int
    cpus: float
    gpus: dict[int, float]


class Node:
    """One node. `figures`: percent in use by name, None where there is none; free and total as for `Room`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.at: int | None = None
        self.figures: dict[str, float | None] = {}
        self.memory_total = self.memory_available = 0
        self.cpus_total = 0.0
        self.models: tuple[str, ...] = ()
        self.closed = False
        self.memory_held = 0
        self.cpus_held = 0.0
        self.gpus_held: dict[int, float] = {}
        self._memory: deque[tuple[int, float]] = deque()  # when and how much was in use, lately

    def take_in(self, report: Mapping[str, Any], now: int) -> None:
        self.at = now
        self.figures = {name: report.get(name) for name in FIGURES}
        self.memory_total = int(report["memory_total"])
        self.memory_available = int(report["memory_free"])
        self.cpus_total = float(report["cpus"])
        self.models = tuple(str(gpu["name"]) for gpu in report["gpus"])
        if report.get("memory") is not None:
            self._memory.append((now, float(report["memory"])))
        while self._memory and now - self._memory[0][0] > _TREND:
            self._memory.popleft()

    def trend(self) -> dict[str, float]:
        """memory_trend: percentage points a minute, from the first to the last of the kept reports; none where they
        are too near to each other."""
        if not self._memory or self._memory[-1][0] - self._memory[0][0] < _TREND_LEAST:
            return {}
        (since, before), (until, after) = self._memory[0], self._memory[-1]
        return {"memory_trend": (after - before) * 60 * SECOND / (until - since)}

    def fresh(self, now: int) -> bool:
        return self.at is not None and now - self.at <= _SAMPLE_AGE

    @property
    def memory_free(self) -> int:
        """What is available now and promised to nobody: a job that has just started has not taken its memory yet."""
        return max(0, min(self.memory_available, self.memory_total - self.memory_held))

    @property
    def cpus_free(self) -> float:
        return max(0.0, self.cpus_total - self.cpus_held)

    def gpu_left(self, index: int) -> float:
        return 1.0 - self.gpus_held.get(index, 0.0)

    @property
    def gpus_free(self) -> float:
        return sum(max(0.0, self.gpu_left(index)) for index in range(len(self.models)))

    @property
    def load(self) -> float:
        """Percent in use of what is shortest; 0 to 100."""
        return max((value for value in self.figures.values() if value is not None), default=0.0)

    def fits(self, request: JobRequest) -> bool:
        return (
            request.memory <= self.memory_free
            and request.cpus <= self.cpus_free + _SLACK
            and self.choose(request) is not None
        )

    def fits_ever(self, request: JobRequest) -> bool:
        wanted = 1 if request.gpu_share else request.gpus
        suits = sum(_suits(model, request) for model in self.models)
        return request.memory <= self.memory_total and request.cpus <= self.cpus_total and wanted <= suits

    def choose(self, request: JobRequest) -> dict[int, float] | None:
        """The GPUs that the job would get, the fullest that still have room first; None where they do not suffice."""
        share, count = (request.gpu_share, 1) if request.gpu_share else (1.0, request.gpus)
        if count == 0:
            return {}
        left = sorted(
            (self.gpu_left(index), index) for index, model in enumerate(self.models) if _suits(model, request)
        )
        chosen = [index for free, index in left if free + _SLACK >= share][:count]
        return dict.fromkeys(chosen, share) if len(chosen) == count else None


class Usable(NamedTuple):
    """The usable nodes, and the ledger times (ns) between which none of them becomes too old."""

    nodes: Sequence[Node]
    since: int
    until: int


class Capacity:
    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._held: dict[str, Held] = {}
        self._usable: Usable | None = None

    def report(self, report: Mapping[str, Any], now: int) -> Node:
        self._usable = None
        node = self._node(str(report["node"]))
        node.take_in(report, now)
        return node

    def close(self, name: str, on: bool) -> None:
        """Whether the node is kept free of new work."""
        self._usable = None
        self._node(name).closed = on

    def forget(self, now: int) -> None:
        """Drop open nodes that have been silent for an hour and hold nothing."""
        using = {held.node for held in self._held.values()}
        for name, node in list(self.nodes.items()):
            if name not in using and not node.closed and (node.at is None or now - node.at > round(FORGET * SECOND)):
                del self.nodes[name]

    def reserve(self, job: str, request: JobRequest, name: str, gpus: Mapping[int, float] | None = None) -> None:
        """The job runs on this node, or is about to; `gpus` as placement chose them."""
        self.release(job)
        self._usable = None
        node = self._node(name)
        taken = dict(gpus if gpus is not None else node.choose(request) or {})
        self._held[job] = Held(name, request.memory, request.cpus, taken)
        node.memory_held += request.memory
        node.cpus_held += request.cpus
        for index, share in taken.items():
            node.gpus_held[index] = node.gpus_held.get(index, 0.0) + share

    def release(self, job: str) -> None:
        held = self._held.pop(job, None)
        if held is None:
            return
        self._usable = None
        node = self.nodes[held.node]
        node.memory_held -= held.memory
        node.cpus_held -= held.cpus
        for index, share in held.gpus.items():
            node.gpus_held[index] -= share

    def expect(self, job: str, request: JobRequest, now: int) -> None:
        """The job was admitted and not placed yet: count it where it leaves the least memory."""
        node = min(self.with_room(request, now), key=lambda n: (n.memory_free, n.name), default=None)
        if node is not None:
            self.reserve(job, request, node.name)

    def usable(self, now: int) -> Sequence[Node]:
        """Nodes that have reported lately and take new work, by name. The same object as long as nothing changed."""
        if self._usable is None or not self._usable.since <= now <= self._usable.until:
            nodes = [node for _, node in sorted(self.nodes.items()) if node.fresh(now) and not node.closed]
            oldest = min((node.at for node in nodes if node.at is not None), default=None)
            until = now if oldest is None else oldest + _SAMPLE_AGE
            self._usable = Usable(nodes, now, max(now, until))
        return self._usable.nodes

    def with_room(self, request: JobRequest, now: int) -> Iterator[Node]:
        return (node for node in self.usable(now) if node.fits(request))

    def _node(self, name: str) -> Node:
        if name not in self.nodes:
            self.nodes[name] = Node(name)
        return self.nodes[name]


def _suits(model: str, request: JobRequest) -> bool:
    return not request.models or model in request.models
