"""The world of `ufm.dispatch`: a federation of nodes, and a task that one of them is to take.

What comes of a choice is its relative speed (Feitelson and Rudolph's slowdown, turned over): how long the task runs on
an idle node that has its data, by how long it takes in fact, from now to its end. 1 is perfect; a task that misses its
deadline is worth a fifth of it, one that runs out of memory or loses its node a tenth. The time on a node is

    what waits there + data / bandwidth + duration * (1 + contention) * (1 + repeats)

- Contention grows with the load of the node: inference suffers most from neighbours, storage least.
- Repeats grow with the share of tasks that failed there; a task that is not restartable repeats far more.
- Training grows above what it asked for (activations, fragments), so a node with the bare memory is not enough for it.
- `hold` waits until another node is free and runs on a quiet one.

Noise: reports are a little old, so load, wait and bandwidth of now are drawn around what was reported. A load or a
bandwidth that nobody reported is drawn from all nodes. A node that reports next to no load although much work waits
there is not idle: its report is stale, and it is busy. One node in forty is lost under the task.

All figures are invented; they keep the order of magnitude of what the documentation of schedulers warns of.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from federation.records import Candidate
from managers.ufm.dispatch import counts, ordered
from managers.ufm.points import DISPATCH as POINT
from training.scenarios.world import Seen

GB = 10**9
MINUTE = 60.0
HOUR = 3600.0

_CONTENTION = {"training": 1.0, "batch": 0.6, "inference": 2.0, "storage": 0.2}  # at a load of 100 %
_GROWTH = {"training": 1.10, "batch": 1.0, "inference": 1.0, "storage": 1.0}  # memory used, by memory asked for
_GROWTH_SPREAD = 0.01
_LATE, _BROKEN = 0.2, 0.1  # what is left of a result that comes too late, or only after a new start elsewhere
_LOST = 0.025  # nodes that are lost under a task
_USUAL_BANDWIDTH = GB / 4  # a second
_USUAL_FREEING = 30 * MINUTE


@dataclass(frozen=True)
class _Family:
    """Ranges that a situation is drawn from. waits: of a node, in durations of the task. copying: the time that the
    data takes at the usual bandwidth, in durations of the task. slack: the deadline, in durations; empty: none."""

    kinds: tuple[str, ...]
    vram: tuple[int, ...]
    duration: tuple[float, float]
    waits: tuple[float, float]
    copying: tuple[float, float]
    loads: tuple[int, int]
    frees: tuple[float, float]
    slack: tuple[float, float] | None = None
    roomy: float = 0.7  # share of the nodes that have plenty of memory


_FAMILIES: Mapping[str, _Family] = {
    "training_with_enough_memory": _Family(
        ("training",), (16, 24, 32, 40), (HOUR, 8 * HOUR), (0.02, 1.0), (0.01, 0.1), (5, 90), (0.2, 4.0)
    ),
    "training_short_of_memory": _Family(
        ("training",), (32, 40, 48, 64), (HOUR, 8 * HOUR), (0.02, 1.0), (0.01, 0.1), (5, 90), (0.05, 1.5), roomy=0.25
    ),
    "urgent_inference": _Family(
        ("inference",), (8, 16, 24), (MINUTE, 10 * MINUTE), (0.01, 2.0), (0.01, 0.2), (5, 95), (0.3, 5.0), (2.0, 5.0)
    ),
    "data_that_is_far_away": _Family(
        ("storage", "batch"), (0, 0, 8), (5 * MINUTE, HOUR), (0.02, 0.5), (0.2, 5.0), (5, 80), (0.2, 4.0)
    ),
    "crowded_federation": _Family(
        ("training", "batch", "inference"),
        (8, 16, 24),
        (10 * MINUTE, 2 * HOUR),
        (0.4, 5.0),
        (0.01, 0.2),
        (50, 95),
        (0.1, 2.0),
    ),
    "urgent_training_far_from_its_data": _Family(
        ("training",),
        (16, 24, 32, 40),
        (30 * MINUTE, 4 * HOUR),
        (0.02, 1.0),
        (0.1, 2.0),
        (5, 90),
        (0.1, 2.0),
        (2.0, 5.0),
    ),
}


class Dispatch:
    point = POINT
    epsilon = 0.08
    families = tuple(_FAMILIES)
    held_out = "urgent_training_far_from_its_data"
    rules = """## UFM Dispatch Spec
- decides: ufm.dispatch
- never dispatch when target.vram_free < vram
- never dispatch when target.load > 90%
- never dispatch when target.succeeded < 85%
- soon_free: when frees_in < starts_in: hold
- otherwise: dispatch
"""

    def ask(self, family: str, random: Random) -> Seen:
        ranges = _FAMILIES[family]
        duration = _rounded(_between(random, *ranges.duration))
        vram = random.choice(ranges.vram) * GB
        data = _rounded(_between(random, *ranges.copying) * duration * _USUAL_BANDWIDTH)
        facts: dict[str, Any] = {
            "kind": random.choice(ranges.kinds),
            "vram": vram,
            "duration": duration,
            "deadline": None if ranges.slack is None else _rounded(_between(random, *ranges.slack) * duration),
            "data": int(data),
            "restartable": random.random() < 0.5,
            "frees_in": _rounded(_between(random, *ranges.frees) * duration),
        }
        nodes = [_node(ranges, vram, duration, random) for _ in range(random.choice((2, 3, 3, 4, 4, 5)))]
        named = [Candidate("dispatch", {"node": f"node-{at}"}, node) for at, node in enumerate(nodes, start=1)]
        facts |= counts(vram, facts["data"], named)
        if random.random() < 0.06:
            del facts[random.choice(("restartable", "frees_in"))]
        return Seen(facts, (*ordered(named, facts["data"]), Candidate("hold")))

    def outcomes(self, seen: Seen, random: Random) -> tuple[float, ...]:
        return tuple(
            _on_node(seen.facts, candidate.attributes, random)
            if candidate.action == "dispatch"
            else _later(seen.facts, random)
            for candidate in seen.candidates
        )


def _node(ranges: _Family, vram: int, duration: float, random: Random) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "target.load": float(random.randint(*ranges.loads)),
        "target.vram_free": _memory(ranges, vram, random),
        "target.wait": _rounded(_between(random, *ranges.waits) * duration),
        "target.bandwidth": random.choice((GB // 20, GB // 8, GB // 4, GB // 2, GB, 2 * GB)),
        "target.succeeded": float(random.choice((100, 100, 99, 99, 98, 97, 95, 90, 80))),
    }
    luck = random.random()
    if luck < 0.03:
        del attributes[random.choice(("target.load", "target.bandwidth", "target.succeeded"))]
    elif luck < 0.06:
        attributes |= {"target.load": float(random.randint(0, 2)), "target.wait": _rounded(duration)}
    return attributes


def _memory(ranges: _Family, vram: int, random: Random) -> int:
    """Plenty, the bare memory, or too little."""
    draw = random.random()
    if draw < ranges.roomy:
        factor = random.uniform(1.25, 2.5)
    elif draw < ranges.roomy + 0.15:
        factor = random.uniform(1.0, 1.06)
    else:
        factor = random.uniform(0.3, 0.95)
    return round(max(vram, 8 * GB if vram else 0) * factor / GB * 10) * GB // 10


def _on_node(facts: Mapping[str, Any], node: Mapping[str, Any], random: Random) -> float:
    kind, duration = facts["kind"], facts["duration"]
    wait = node["target.wait"] * math.exp(random.gauss(0, 0.12))
    bandwidth = node.get("target.bandwidth", _USUAL_BANDWIDTH * math.exp(random.gauss(0, 0.5)))
    copying = facts["data"] / (bandwidth * math.exp(random.gauss(0, 0.05)))
    running = duration * (1 + _CONTENTION[kind] * _busy(node, duration, random) ** 2)
    taken = wait + copying + running * (1 + _repeats(facts, node))
    used = facts["vram"] * _GROWTH[kind] * math.exp(random.gauss(0, _GROWTH_SPREAD) if _GROWTH[kind] > 1 else 0)
    broken = used > node["target.vram_free"] or random.random() < _LOST
    return _worth(facts, taken) * (_BROKEN if broken else 1.0)


def _later(facts: Mapping[str, Any], random: Random) -> float:
    """On the next free node: quiet, with the usual bandwidth, after the time until it is free."""
    frees_in = facts.get("frees_in", _USUAL_FREEING * math.exp(random.gauss(0, 0.5)))
    taken = frees_in * math.exp(random.gauss(0, 0.15)) + facts["data"] / _USUAL_BANDWIDTH + 1.1 * facts["duration"]
    return _worth(facts, taken)


def _worth(facts: Mapping[str, Any], taken: float) -> float:
    deadline = facts["deadline"]
    speed = float(facts["duration"] / taken)
    return speed * _LATE if deadline is not None and taken > deadline else speed


def _busy(node: Mapping[str, Any], duration: float, random: Random) -> float:
    """Load of the node while the task runs, from 0 to 1."""
    reported = node.get("target.load", 50.0)
    stale = reported <= 2 and node["target.wait"] > duration / 2
    load = 70.0 if stale else reported
    return min(max(load + random.gauss(0, 5), 0.0), 100.0) / 100


def _repeats(facts: Mapping[str, Any], node: Mapping[str, Any]) -> float:
    """The share of the work that is done again."""
    failed: float = 1 - node.get("target.succeeded", 97.0) / 100
    restartable = facts.get("restartable", True)
    return failed * (1.0 if restartable else 4.0)


def _between(random: Random, low: float, high: float) -> float:
    """Log-uniform."""
    return math.exp(random.uniform(math.log(low), math.log(high)))


def _rounded(value: float) -> float:
    """Two significant digits, as people and monitors report."""
    return float(f"{value:.1e}")


DISPATCH = Dispatch()
