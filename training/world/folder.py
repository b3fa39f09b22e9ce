"""The folder that a simulated cluster lives in: settings, specs with an overlay, declared applications."""

import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from federation.errors import Refused
from federation.points import DecisionPoint
from federation.settings import shipped_specs
from training.world.mail import TARGETS
from training.world.world import APPLICATIONS

NOTICE = "Simulation: these nodes, jobs and failures are made up; the decisions are real."
USUAL_PORT = 8650

CAPS = (
    {"action": "*", "per": "fleet", "at_most": 40, "within": "1m"},
    {"action": "*", "per": "node", "at_most": 6, "within": "1m"},
    {"action": "ufm.node_health/drain", "per": "fleet", "at_most": 3, "within": "30s"},
)
"""As shipped, for a world in which as much happens in a minute as elsewhere in ten."""


def reversible(points: Mapping[str, DecisionPoint]) -> list[str]:
    """The actions, as `point/action`, that the points say how to take back, and those that take them back."""
    return [
        f"{name}/{action.name}"
        for name, point in sorted(points.items())
        for action in point.schema.actions
        if action.name in point.effects and (action.undo or any(a.undo == action.name for a in point.schema.actions))
    ]


def prepare(folder: Path, port: int, post: int) -> Path:
    """Writes what `elias --config` needs to know of a demonstration; the settings file. post: the port on loopback
    where the targets of messages listen. Raises Refused where a demonstration was run before.
    """
    targets = {name: {"kind": "webhook", "url": f"http://127.0.0.1:{post}/{name}", "timeout": "2s"} for name in TARGETS}
    overlay = Path(__file__).with_name("demo.tiki")
    return laid(folder, port, overlay, {"apps": "apps.yaml", "gate": {"caps": list(CAPS)}, "targets": targets})


def laid(folder: Path, port: int, overlay: Path, more: Mapping[str, Any]) -> Path:
    """overlay: the file that is laid over the specs. more: settings beside what all of them have."""
    settings = folder / "elias.yaml"
    if settings.exists():
        cure = "name another folder, or remove this one"
        raise Refused("not-empty", "there is a demonstration in this folder already", place=str(folder), cure=cure)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    specs = folder / "specs"
    shutil.copytree(shipped_specs(), specs, ignore=shutil.ignore_patterns("__pycache__"))
    over = specs / "overlays" / "demo"
    over.mkdir(parents=True, exist_ok=True)
    shutil.copy(overlay, over)
    chosen = {
        "notice": NOTICE,
        "listen": {"port": port},
        "specs": "specs",
        "overlay": "demo",
        "telemetry": {"interval": "2s"},
        "ledger": {"tick": "2s"},
        **more,
    }
    settings.write_text(yaml.safe_dump(chosen, sort_keys=False))
    return settings


def declared(folder: Path) -> Path:
    """Writes `apps.yaml` with the applications of the world. They run in the simulation; nothing is started."""
    apps = {
        name: {
            "command": ["serve", name],
            "instances": instances,
            "priority": priority,
            "memory": "8GB",
            "check": {"tcp": "8080"},
        }
        for priority, (name, instances) in enumerate(APPLICATIONS.items(), start=2)
    }
    path = folder / "apps.yaml"
    path.write_text(yaml.safe_dump({"apps": apps}, sort_keys=False))
    return path


def free_port(wanted: int = 0) -> int:
    """The wanted port of loopback if nobody holds it, else any."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise Refused("no-port", "no port of this machine is free", cure="end a program that listens")
