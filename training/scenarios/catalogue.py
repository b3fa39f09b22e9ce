"""Every simulated world, by its decision point."""

from collections.abc import Mapping

from training.scenarios.coordination import COORDINATION
from training.scenarios.dispatch import DISPATCH
from training.scenarios.optimisation import OPTIMISATION
from training.scenarios.package import PACKAGE
from training.scenarios.pressure import PRESSURE
from training.scenarios.restart import RESTART
from training.scenarios.rollout import ROLLOUT
from training.scenarios.storm import STORM
from training.scenarios.world import World

_ALL: tuple[World, ...] = (DISPATCH, ROLLOUT, PRESSURE, PACKAGE, RESTART, STORM, COORDINATION, OPTIMISATION)

WORLDS: Mapping[str, World] = {world.point.name: world for world in _ALL}
