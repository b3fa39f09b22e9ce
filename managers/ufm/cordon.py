"""The cordon of a node: while it stands, no job is started there. A file, so that it outlives the agent and the
database.
"""

from pathlib import Path
from typing import Any

from federation.effects import Doer, Order
from federation.records import Outcome


class Cordons:
    """Cordons that this node's agent keeps: its own, and those of nodes that are out of sight."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __contains__(self, node: str) -> bool:
        return self._path(node).exists()

    def set(self, node: str, on: bool) -> None:
        if on:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path(node).touch()
        else:
            self._path(node).unlink(missing_ok=True)

    def _path(self, node: str) -> Path:
        return self.folder / node.replace("/", "_")


class Cordon:
    """Sets or lifts a cordon: doing it twice is doing it once, so a probe of an interrupted one can tell by looking."""

    def __init__(self, cordons: Cordons, on: bool) -> None:
        self.cordons = cordons
        self.on = on

    async def do(self, order: Order) -> Outcome:
        self.cordons.set(order.subject, self.on)
        return Outcome("done", "", {"cordoned": self.on})

    async def probe(self, order: Order) -> Outcome:
        if (order.subject in self.cordons) == self.on:
            return Outcome("done", "found so after an interruption", {"cordoned": self.on})
        return Outcome("failed", "interrupted before it was done")


def doers(agent: Any) -> dict[str, Doer]:
    cordons = Cordons(agent.folder / "cordons")
    return {"node.cordon": Cordon(cordons, True), "node.uncordon": Cordon(cordons, False)}
