"""Who takes part: the federation is told by import path, and knows no manager's name.

A roster module declares POINTS (all decision points), MANAGERS (name -> "module:Class"), SERVICES (the actor class of
a manager that is more than its decisions), DOERS (name -> "module:factory" of what a node agent can do) and BEFOREHAND
(modules that a service imports only as it starts). Points are light to import; managers and doers are imported only
where they run.
"""

import importlib
from typing import Any

from federation.gate import APPROVAL, SUPERVISION, WITHHELD
from federation.points import DecisionPoint


def resolve(path: str) -> Any:
    """The object at `package.module:name`."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


class Roster:
    def __init__(self, module: str) -> None:
        loaded = importlib.import_module(module)
        self.module = module
        self.managers: dict[str, str] = dict(loaded.MANAGERS)
        self.services: dict[str, str] = dict(loaded.SERVICES)
        self.doers: dict[str, str] = dict(loaded.DOERS)
        self.beforehand: tuple[str, ...] = tuple(loaded.BEFOREHAND)
        self.points: dict[str, DecisionPoint] = {p.name: p for p in (*loaded.POINTS, APPROVAL, WITHHELD, SUPERVISION)}
