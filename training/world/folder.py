"""The folder that a simulated cluster lives in: settings, specs with an overlay, declared applications."""

from collections.abc import Mapping
from pathlib import Path

from federation.points import DecisionPoint
from training.world.world import APPLICATIONS


def reversible(points: Mapping[str, DecisionPoint]) -> list[str]:
    """The actions, as `point/action`, that the points say how to take back, and those that take them back."""
    return [
        f"{name}/{action.name}"
        for name, point in sorted(points.items())
        for action in point.schema.actions
        if action.name in point.effects and (action.undo or any(a.undo == action.name for a in point.schema.actions))
    ]


def declared(folder: Path) -> Path:
    """Writes `apps.yaml` with the applications of the world. They run in the simulation; nothing is started."""
    path = folder / "apps.yaml"
    lines = ["apps:"]
    for priority, (name, instances) in enumerate(APPLICATIONS.items(), start=2):
        lines += [
            f"  {name}:",
            f"    command: [serve, {name}]",
            f"    instances: {instances}",
            f"    priority: {priority}",
            "    memory: 8GB",
            "    check: {tcp: '8080'}",
        ]
    path.write_text("\n".join(lines) + "\n")
    return path
