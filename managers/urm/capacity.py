"""What the nodes have, what jobs hold of it, and what is left.

Fed by the node agents' reports and by where jobs were placed. Kept in memory only: empty after a restart, until the
nodes report, which takes one report interval.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from federation.clock import SECOND
from managers.job import JobRequest
from managers.urm.points import SAMPLE_AGE
from managers.urm.ranking import Ranking

FORGET = 3600.0  # seconds of silence after which a node is no longer remembered
_LOOK = 60 * SECOND  # between two looks for such nodes: each looks at all of them
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


class Room(NamedTuple):
    """What a node has free, and in all. gpus: what is left of each, the emptiest first."""

    memory_free: int
    memory_total: int
    cpus_free: float
    cpus_total: float
    gpus_free: float
    gpus_total: float
    gpus: tuple[float, ...]

    def has_gpus(self, share: float, count: int) -> bool:
        return count == 0 or (count <= len(self.gpus) and self.gpus[count - 1] + _SLACK >= share)


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
        self._room: Room | None = None

    def take_in(self, report: Mapping[str, Any], now: int) -> None:
        self._room = None
        self.figures = {name: report.get(name) for name in FIGURES}
        self.memory_total = int(report["memory_total"])
        self.memory_available = int(report["memory_free"])
        self.cpus_total = float(report["cpus"])
        self.models = tuple(str(gpu["name"]) for gpu in report["gpus"])
        if report.get("memory") is not None:
            self._memory.append((now, float(report["memory"])))
        while self._memory and now - self._memory[0][0] > _TREND:
            self._memory.popleft()
        self.at = now

    def trend(self) -> dict[str, float]:
        """memory_trend: percentage points a minute, from the first to the last of the kept reports; none where they
        are too near to each other."""
        if not self._memory or self._memory[-1][0] - self._memory[0][0] < _TREND_LEAST:
            return {}
        (since, before), (until, after) = self._memory[0], self._memory[-1]
        return {"memory_trend": (after - before) * 60 * SECOND / (until - since)}

    def fresh(self, now: int) -> bool:
        return self.at is not None and now - self.at <= _SAMPLE_AGE

    def hold(self, held: Held) -> None:
        self._room = None
        self.memory_held += held.memory
        self.cpus_held += held.cpus
        for index, share in held.gpus.items():
            self.gpus_held[index] = self.gpus_held.get(index, 0.0) + share

    def let_go(self, held: Held) -> None:
        self._room = None
        self.memory_held -= held.memory
        self.cpus_held -= held.cpus
        for index, share in held.gpus.items():
            self.gpus_held[index] -= share

    @property
    def room(self) -> Room:
        """Kept until a report or a job changes it: an admission looks at that of every node."""
        if self._room is None:
            gpus = sorted((self.gpu_left(index) for index in range(len(self.models))), reverse=True)
            memory, cpus = (self.memory_free, self.memory_total), (self.cpus_free, self.cpus_total)
            self._room = Room(*memory, *cpus, self.gpus_free, float(len(self.models)), tuple(gpus))
        return self._room

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
        room = self.room
        if request.memory > room.memory_free or request.cpus > room.cpus_free + _SLACK:
            return False
        return self.choose(request) is not None if request.models else room.has_gpus(*_gpus(request))

    def fits_ever(self, request: JobRequest) -> bool:
        wanted = 1 if request.gpu_share else request.gpus
        suits = sum(_suits(model, request) for model in self.models)
        return request.memory <= self.memory_total and request.cpus <= self.cpus_total and wanted <= suits

    def choose(self, request: JobRequest) -> dict[int, float] | None:
        """The GPUs that the job would get, the fullest that still have room first; None where they do not suffice."""
        share, count = _gpus(request)
        if count == 0:
            return {}
        left = sorted(
            (self.gpu_left(index), index) for index, model in enumerate(self.models) if _suits(model, request)
        )
        chosen = [index for free, index in left if free + _SLACK >= share][:count]
        return dict.fromkeys(chosen, share) if len(chosen) == count else None


class Capacity:
    """A report looks at no other node."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._held: dict[str, Held] = {}
        self._usable: Ranking[Node] = Ranking()
        self._heard: Ranking[Node] = Ranking()  # whose report is not known to be too old, by its time
        self._changed: dict[str, Node] = {}
        self._looked = self._latest = 0

    def report(self, report: Mapping[str, Any], now: int) -> Node:
        node = self._node(str(report["node"]))
        node.take_in(report, now)
        self._hear(node)
        self._turn_back(now)
        return node

    def close(self, name: str, on: bool) -> None:
        """Whether the node is kept free of new work."""
        node = self._node(name)
        node.closed = on
        self._sort(node)

    def forget(self, now: int) -> None:
        """Drop open nodes that have been silent for an hour and hold nothing."""
        if now - self._looked < _LOOK:
            return
        self._looked = now
        self.usable(now)  # what is dropped is none of them
        using = {held.node for held in self._held.values()}
        for name, node in list(self.nodes.items()):
            if name not in using and not node.closed and (node.at is None or now - node.at > round(FORGET * SECOND)):
                del self.nodes[name]

    def reserve(self, job: str, request: JobRequest, name: str, gpus: Mapping[int, float] | None = None) -> None:
        """The job runs on this node, or is about to; `gpus` as placement chose them."""
        self.release(job)
        node = self._node(name)
        taken = dict(gpus if gpus is not None else node.choose(request) or {})
        self._held[job] = Held(name, request.memory, request.cpus, taken)
        node.hold(self._held[job])

    def release(self, job: str) -> None:
        held = self._held.pop(job, None)
        if held is not None:
            self.nodes[held.node].let_go(held)

    def expect(self, job: str, request: JobRequest, now: int) -> None:
        """The job was admitted and not placed yet: count it where it leaves the least memory."""
        node = min(self.with_room(request, now), key=lambda n: (n.room.memory_free, n.name), default=None)
        if node is not None:
            self.reserve(job, request, node.name)

    def usable(self, now: int) -> Ranking[Node]:
        """Nodes that have reported lately and take new work, by name."""
        self._turn_back(now)
        while self._heard and not (oldest := next(iter(self._heard))).fresh(now):
            self._heard.drop(oldest.name)
            self._sort(oldest)
        return self._usable

    def takes_work(self, node: Node) -> bool:
        """Whether it is one of the usable nodes, as far as somebody has looked."""
        return node.name in self._heard and not node.closed

    def changed(self) -> Iterable[Node]:
        """Nodes that have reported, or take new work now or no longer, since the last call."""
        changed, self._changed = self._changed, {}
        return changed.values()

    def with_room(self, request: JobRequest, now: int) -> Iterator[Node]:
        return (node for node in self.usable(now) if node.fits(request))

    def _turn_back(self, now: int) -> None:
        """Where this is an earlier moment than the last: a tick has the time of the ledger, which may be ahead of the
        clock of this process, and what was too old then may not be now."""
        if now < self._latest:
            for node in self.nodes.values():
                if node.fresh(now):
                    self._hear(node)
        self._latest = now

    def _hear(self, node: Node) -> None:
        self._heard.put(node.name, node, node.at)
        self._sort(node)

    def _sort(self, node: Node) -> None:
        self._changed[node.name] = node
        if self.takes_work(node):
            self._usable.put(node.name, node)
        else:
            self._usable.drop(node.name)

    def _node(self, name: str) -> Node:
        if name not in self.nodes:
            self.nodes[name] = Node(name)
        return self.nodes[name]


def _gpus(request: JobRequest) -> tuple[float, int]:
    """The share of each, and how many."""
    return (request.gpu_share, 1) if request.gpu_share else (1.0, request.gpus)


def _suits(model: str, request: JobRequest) -> bool:
    return not request.models or model in request.models
