"""Every simulated world, by its decision point."""

from collections.abc import Mapping

from training.scenarios.world import World

_ALL: tuple[World, ...] = ()

WORLDS: Mapping[str, World] = {world.point.name: world for world in _ALL}
