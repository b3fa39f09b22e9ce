"""Nodes short of memory and GPU whose jobs cannot be moved: are they closed to new work, or is it waited?

It is the world of `urm.resource_pressure` (training/scenarios/pressure.py) without jobs of ELIAS on its nodes, so that
two kinds of candidate are left. What comes of each is known for any question on record, for it hangs on facts and
candidates alone; so a federation that really runs can be asked, and told what came of what it did.
"""

from collections.abc import Sequence
from random import Random
from statistics import fmean

from federation import decide
from federation.records import Asked, Candidate
from training.scenarios.generate import scenario
from training.scenarios.pressure import MEMORY, PRESSURE
from training.scenarios.scenario import Scenario
from training.scenarios.world import Seen

POINT = PRESSURE.point
EPSILON = PRESSURE.epsilon
LOOKS = 24  # completions of the world by which somebody who knows it judges what usually comes of a candidate
ANSWERS = ("scale_out", "hold")
ROOM = 100 * 10**9  # bytes that the node has free to which new work goes instead; less is a guard's to forbid
MANY = 4  # jobs that wait
SHIFT = 0.8  # of what comes of an answer, where the world has changed; in the unit of the point
CALM = {"memory": 50.0, "cpu": 10.0, "gpu": 10.0, "disk": 20.0}


class Unmovable:
    """See above; it has no family of closed nodes, for on them nothing would be left to choose."""

    point = POINT
    epsilon = EPSILON
    families = tuple(family for family in PRESSURE.families if family != "closed_already")
    held_out = PRESSURE.held_out
    rules = PRESSURE.rules

    def ask(self, family: str, random: Random) -> Seen:
        seen = PRESSURE.ask(family, random)
        roomy = [one for one in seen.candidates if one.attributes.get("target.memory_free", 0) >= ROOM]
        left = (*(one for one in roomy[:1] if one.action == "scale_out"), Candidate("hold"))
        return Seen({**seen.facts, "jobs": 0}, left)

    def outcomes(self, seen: Seen, random: Random) -> tuple[float, ...]:
        return PRESSURE.outcomes(seen, random)


class Changed(Unmovable):
    """The same nodes in another world: jobs that wait are served elsewhere, so closing a node for them costs more than
    it brings, and memory that rises does not stop by itself any more. What is right hangs on the same facts, and in
    most questions it is the other way round."""

    def outcomes(self, seen: Seen, random: Random) -> tuple[float, ...]:
        found = super().outcomes(seen, random)
        if _figure(seen, "waiting") >= MANY:
            added = {"scale_out": -SHIFT, "hold": SHIFT}
        elif _figure(seen, "memory_trend") > 0:
            added = {"scale_out": SHIFT, "hold": -SHIFT}
        else:
            return found
        low, high = POINT.outcome.bounds
        pairs = zip(seen.candidates, found, strict=True)
        return tuple(min(high, max(low, outcome + added.get(one.action, 0.0))) for one, outcome in pairs)


def _figure(seen: Seen, name: str) -> float:
    """0 where it is not known."""
    value = seen.facts.get(name)
    return value if isinstance(value, int | float) else 0.0


class Pressed:
    """The world as it is now."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.program = scenario(POINT.name).program
        self.scenario = Scenario(Unmovable(), self.program)

    def change(self) -> None:
        """From now on it is another; see `Changed`."""
        self.scenario = Scenario(Changed(), self.program)

    def question(self, number: int) -> dict[str, float]:
        """What is measured of the node that is asked about next; a figure that nobody knows is missing."""
        example = next(self.scenario.examples("train", 1, start=self.seed * 1_000_000 + number, completions=1))
        return {name: example.question.facts[name] for name in _MEASURED if name in example.question.facts}

    def came(self, decision: str, asked: Asked, choice: int) -> float:
        """What comes of a candidate in the world as it turns out; the same whenever it is asked."""
        return self._outcomes(asked, Random(f"{self.seed} {decision}"))[choice]

    def usually(self, decision: str, asked: Asked) -> list[float]:
        """What comes of each candidate on average, as somebody with experience knows."""
        random = Random(f"{self.seed} {decision} usually")
        drawn = [self._outcomes(asked, random) for _ in range(LOOKS)]
        return [fmean(column) for column in zip(*drawn, strict=True)]

    def _outcomes(self, asked: Asked, random: Random) -> list[float]:
        """Of each candidate; of one that the world does not know, the worst."""
        known = [index for index, one in enumerate(asked.candidates) if one.action in ANSWERS]
        seen = Seen(asked.facts, tuple(asked.candidates[index] for index in known))
        found = dict(zip(known, self.scenario.world.outcomes(seen, random), strict=True))
        return [found.get(index, POINT.outcome.bounds[0]) for index in range(len(asked.candidates))]


_MEASURED = ("memory", "cpu", "gpu", "disk", "memory_trend", "waiting")


def good(asked: Asked, usually: Sequence[float]) -> list[int]:
    """The offered candidates that are as good as any of them, the best first."""
    offered = decide.offered(asked, POINT.schema.terminal)
    best = max(usually[index] for index in offered)
    return sorted((i for i in offered if usually[i] >= best - EPSILON), key=lambda i: -usually[i])


def refuge(name: str, random: Random, *, roomy: bool) -> dict[str, object]:
    """The report of a node that takes what others do not, or of one that is too full for it. The roomy one is idle,
    whatever is set aside on it: were it not, the machine that this runs on would often be the least loaded."""
    taken = random.randint(10, 50) if roomy else random.randint(70, 79)
    used = 0 if roomy else taken
    return {
        "node": name,
        "memory": float(used),
        "cpu": float(random.randint(0, used)),
        "gpu": float(random.randint(0, used)),
        "disk": 0.0,
        "memory_total": MEMORY,
        "memory_free": MEMORY * (100 - taken) // 100,
        "cpus": 1,
        "gpus": [{"name": "H200"}] * 8,
    }
