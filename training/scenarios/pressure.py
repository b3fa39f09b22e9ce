"""The world of `urm.resource_pressure` where memory and GPU are short: keep new work away, move a job, or wait?

What is hidden is how much memory the node takes in the next minutes: what it has, what its trend adds, and what the
waiting jobs add unless the node is closed to them, somewhat more or less than it looks. Above 96 % processes are ended
that nobody chose, the more the further.

Outcomes are in relieved nodes: 1 for a node that is out of trouble at no cost. A node without new work stands partly
idle later, and where the target has too little memory the work that goes there waits. A job that is moved begins anew,
which costs more the higher its priority; it takes its memory with it, and a target that it leaves nearly full is under
pressure next. Rarely a moved job does not come up again.

All nodes of this world have 256 GiB. All figures here are invented: the order of the costs is meant to be plausible,
their size is not measured anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from federation.points import DecisionPoint
from federation.records import Candidate
from managers.urm.capacity import Node
from managers.urm.jobs import Job
from managers.urm.points import PRESSURE as POINT
from managers.urm.pressure import refuges, relief
from managers.urm.requests import JobRequest
from training.scenarios.world import Seen

GIB = 2**30
MEMORY = 256 * GIB  # of every node
GPUS = 8
THRESHOLDS = {"memory_threshold": 80.0, "cpu_threshold": 75.0, "gpu_threshold": 90.0}
UNSEEN = 0.04  # share of questions in which a fact that may be unknown is

FULL = 96.0  # percent in use above which processes are ended
AHEAD = 3.0  # minutes for which a trend goes on
ARRIVING = 1.5  # percentage points that a waiting job takes
DRIFT = 0.9  # percentage points by which memory differs from what it looks like, standard deviation
DEAR = 0.08  # of a node, for one percentage point above FULL
CLOSED, CROWDED = 0.15, 0.05  # of a node without new work; of each waiting job whose target is full
ROOMY = 128 * GIB  # free on a target that takes all that arrives
MOVED, PRIORITY, NEAR, NEXT = 0.08, 0.05, 24 * GIB, 0.5
LOST = 0.004  # share of moved jobs that do not come up again


@dataclass(frozen=True)
class _Kind:
    """How often what is seen in a family. trend: percentage points a minute. size: GiB of the jobs that may move."""

    trend: tuple[float, float]
    waiting: tuple[int, int]
    size: tuple[int, int] = (8, 40)
    cordoned: bool = False


_KINDS = {
    "memory_that_grows": _Kind((0.5, 6.0), (0, 4), (12, 60)),
    "many_jobs_arrive": _Kind((-1.0, 3.0), (2, 12)),
    "a_peak_that_passes": _Kind((-4.0, 1.0), (0, 6)),
    "large_jobs": _Kind((0.0, 5.0), (0, 6), (24, 80)),
    "closed_already": _Kind((0.0, 6.0), (0, 8), cordoned=True),
    "memory_grows_while_many_jobs_arrive": _Kind((0.5, 5.0), (3, 12)),
}


class PressureWorld:
    point: DecisionPoint = POINT
    epsilon = 0.05
    families = tuple(_KINDS)
    held_out = "memory_grows_while_many_jobs_arrive"
    rules = """\
## URM Resource Pressure Spec
- decides: urm.resource_pressure
- fallback: hold
- never migrate when target.gpu_free < job.gpu
- never migrate when target.memory_free < job.memory
- never migrate when job.priority > 6
- calm: when memory_trend < 1 and waiting < 3: hold
- closed: when cordoned and memory_trend > 2: migrate
- arriving: when waiting > 3 and memory > 85%: scale_out(least_loaded_node)
- flood: when waiting > 6: scale_out(least_loaded_node)
- grows: when memory_trend > 2 and memory > 88%: migrate
- runs_away: when memory_trend > 4: migrate
- otherwise: hold
"""

    def ask(self, family: str, random: Random) -> Seen:
        kind = _KINDS[family]
        jobs = random.randint(1, 2)
        facts: dict[str, Any] = {
            "memory": random.randint(164, 189) / 2,
            "cpu": float(random.randint(10, 74)),
            "gpu": float(random.randint(91, 100)),
            "disk": float(random.randint(10, 89)),
            "memory_trend": round(random.uniform(*kind.trend), 1),
            "waiting": random.randint(*kind.waiting),
            "jobs": jobs + random.randint(0, 5),
            "stopped": 0,
            "cordoned": kind.cordoned,
        }
        for name in ("cpu", "memory_trend", "waiting"):
            if random.random() < UNSEEN:
                del facts[name]
        nodes = [_node(name, random) for name in ("b", "c")]
        here = [_job(number, kind.size, random) for number in range(jobs)]
        candidates = relief("a", here, refuges(nodes, THRESHOLDS), cordoned=kind.cordoned)
        return Seen(facts, (*candidates, Candidate("hold")))

    def outcomes(self, seen: Seen, random: Random) -> tuple[float, ...]:
        facts = {"memory_trend": random.uniform(-2, 3), "waiting": random.randint(0, 6), **seen.facts}
        grown = facts["memory"] + AHEAD * facts["memory_trend"] + random.gauss(0, DRIFT)
        lost = random.random() < LOST
        return tuple(1 - _cost(candidate, facts, grown, lost=lost) for candidate in seen.candidates)


def _cost(candidate: Candidate, facts: Mapping[str, Any], grown: float, *, lost: bool) -> float:
    """grown: percent of memory that the node takes without new work."""
    its = candidate.attributes
    arriving = 0 if facts["cordoned"] else facts["waiting"]
    if candidate.action == "scale_out":
        shortage: float = max(0.0, 1 - its["target.memory_free"] / ROOMY)
        return CLOSED + CROWDED * arriving * shortage + _overload(grown)
    busy = grown + ARRIVING * arriving
    if candidate.action == "hold":
        return _overload(busy)
    relieved = _overload(busy - 100 * its["job.memory"] / MEMORY)
    restarted: float = MOVED + PRIORITY * its["job.priority"] + lost
    if candidate.action == "migrate" and its["target.memory_free"] - its["job.memory"] < NEAR:
        restarted += NEXT
    return relieved + restarted


def _overload(memory: float) -> float:
    return DEAR * max(0.0, memory - FULL)


def _node(name: str, random: Random) -> Node:
    node = Node(name)
    used = random.randint(10, 90)
    node.take_in(
        {
            "memory": float(used),
            "cpu": float(random.randint(5, 75)),
            "gpu": float(random.randint(5, 95)),
            "disk": 30.0,
            "memory_total": MEMORY,
            "memory_free": MEMORY * (100 - used) // 100,
            "cpus": 64,
            "gpus": [{"name": "H200"}] * GPUS,
        },
        0,
    )
    node.gpus_held = dict.fromkeys(range(random.randint(0, GPUS)), 1.0)
    return node


def _job(number: int, size: tuple[int, int], random: Random) -> Job:
    request = JobRequest(
        cpus=float(random.randint(1, 16)),
        memory=random.randint(*size) * GIB,
        gpus=random.choice((1, 1, 2, 4)),
        priority=random.randint(0, 9),
        restartable=True,
    )
    return Job(f"train-{number}", {}, request, number)


PRESSURE = PressureWorld()
