"""What would have been right: a simulated world can be copied and asked what comes if nothing is done.

A disruptive action was needed when the trouble that it answers was real and would not have passed by itself.
"""

import copy
from collections.abc import Mapping
from typing import Any

from federation import decide
from federation.records import Asked
from training.scenarios.catalogue import WORLDS
from training.world.chances import MINUTE
from training.world.world import World

AHEAD = 10 * MINUTE  # for which a copy goes on
SOON_BACK = 5 * MINUTE  # a node that is heard again by then need not have been drained
PRESSURE, FULL_DISK = 80.0, 90.0  # percent in use that still is trouble at the end


def trouble(world: World, action: str, node: str) -> bool:
    """Whether a node is in the trouble that this action is for, and stays so if nobody does anything. Its world is not
    changed."""
    machine = world.fleet.machines.get(node)
    if machine is None:
        return False
    if action == "drain":  # a dead node's jobs have to run elsewhere, however soon it is back
        return machine.dark > world.now or machine.cut > world.now + SOON_BACK
    alone = copy.deepcopy(world)
    alone.advance(AHEAD)
    killed = alone.fleet.killed[node] > world.fleet.killed[node]
    if action in ("shed_load", "migrate"):
        return killed
    return killed or alone.fleet.memory()[node] > PRESSURE or alone.fleet.machines[node].disk > FULL_DISK


def right(world: World, point: str, asked: Asked) -> set[int]:
    """The candidates of a decision that would be right, by index; where nobody knows, to leave it as it is."""
    matter = world.matters.open.get(asked.event.subject)
    if matter is not None and matter.point == point:
        return matter.right(decide.offered(asked, WORLDS[point].point.terminal))
    actions = _right_actions(world, point, asked.event.subject, asked.event.data)
    return {i for i, c in enumerate(asked.candidates) if c.action in actions and c.forbidden is None}


def _right_actions(world: World, point: str, subject: str, data: Mapping[str, Any]) -> tuple[str, ...]:
    match point:
        case "urm.resource_pressure":
            if trouble(world, "migrate", subject):
                return ("migrate", "shed_load")
            return ("scale_out",) if trouble(world, "scale_out", subject) else ("hold",)
        case "uam.restart":
            return ("give_up",) if world.applications.lasting(subject.partition("/")[0]) else ("restart", "start")
        case "gate.approval":
            _, _, action = str(data["action"]).partition("/")
            return ("approve",) if trouble(world, action, subject) else ("hold",)
        case "gate.withheld":
            _, _, action = subject.partition("/")
            return ("release",) if any(trouble(world, action, node) for node in _silent(world)) else ("hold",)
    return ("hold",)


def _silent(world: World) -> list[str]:
    return [name for name in world.fleet.machines if not world.fleet.heard(name)]
