"""A world that has changed: the situations are the same, and what comes of some actions is not.

For tests and measurements of what learns anew. A policy that was trained before the change is wrong where the change
turns the order of the candidates.
"""

from collections.abc import Mapping
from random import Random

from training.scenarios.scenario import Scenario
from training.scenarios.world import Seen, World


class Drifted:
    """A world with something added to the outcomes of some actions."""

    def __init__(self, world: World, added: Mapping[str, float]) -> None:
        """added: by action, in the outcome unit of the point. Raises ValueError for an action of no such name."""
        unknown = added.keys() - {action.name for action in world.point.schema.actions}
        if unknown:
            raise ValueError(f"{world.point.name} has no action {', '.join(sorted(unknown))}")
        self._world, self._added = world, dict(added)
        self.point = world.point
        self.epsilon = world.epsilon
        self.families = world.families
        self.held_out = world.held_out
        self.rules = world.rules

    def ask(self, family: str, random: Random) -> Seen:
        return self._world.ask(family, random)

    def outcomes(self, seen: Seen, random: Random) -> tuple[float, ...]:
        before = self._world.outcomes(seen, random)
        pairs = zip(seen.candidates, before, strict=True)
        return tuple(outcome + self._added.get(candidate.action, 0.0) for candidate, outcome in pairs)


def drifted(scenario: Scenario, added: Mapping[str, float]) -> Scenario:
    """The same questions, asked of the changed world. See `Drifted`."""
    return Scenario(Drifted(scenario.world, added), scenario.program)
