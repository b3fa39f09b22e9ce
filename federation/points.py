"""A decision point as the federation sees it: the language's declaration, the events that ask it, and what its
actions do.

Declared once by the manager that owns it; nothing else in the federation names a manager.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tiki.schema import Point


class Mode(StrEnum):
    """How far an action may go: say what would be done, do it once a person confirms, or do it."""

    OBSERVE = "observe"
    APPROVE = "approve"
    ACT = "act"


@dataclass(frozen=True)
class Does:
    """What an action does to the world.

    executor: the name under which a node agent (or outbound delivery) knows how to do it. mode: as shipped; a person
    changes it with `elias mode`. expires: seconds after its release in which it may still start. disruptive: it takes
    something away from a running cluster, so the default blast-radius caps and the brake count it.
    """

    executor: str
    mode: Mode = Mode.OBSERVE
    expires: float = 30.0
    disruptive: bool = True


@dataclass(frozen=True)
class Due:
    """When an outcome is due (seconds after its release), its unit, and what no news by then means. bounds: of its
    reward; the test of a challenger takes one beyond them for the bound."""

    seconds: float
    unit: str
    silence: str = "unknown"
    bounds: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class DecisionPoint:
    """events: CloudEvents types that ask this point. effects: action name -> what it does; an action without one does
    nothing. greets: the first look at a subject is put on record, whatever it finds. critical: a mistake cannot be
    undone, so the policy and an advisor have to agree; where they do not, or one of them is missing, a person decides.
    interferes: its decisions change what comes of one another, as where jobs compete for nodes, so policies are
    compared by blocks of time and never decision by decision.
    """

    schema: Point
    events: tuple[str, ...]
    effects: Mapping[str, Does] = field(default_factory=dict)
    outcome: Due = field(default=Due(60.0, "done"))
    greets: bool = False
    critical: bool = False
    interferes: bool = False
    name: str = field(init=False)
    terminal: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.schema.name)
        object.__setattr__(self, "terminal", self.schema.terminal)
        unknown = set(self.effects) - {a.name for a in self.schema.actions}
        if unknown or self.schema.terminal in self.effects:
            raise ValueError(f"{self.name}: effects for {sorted(unknown) or self.schema.terminal}")

    def describe(self) -> dict[str, Any]:
        """What a reader of the API needs to know of this point."""
        return {
            "name": self.name,
            "version": self.schema.version,
            "doc": self.schema.doc,
            "events": list(self.events),
            "trigger": self.schema.trigger,
            "critical": self.critical,
            "interferes": self.interferes,
            "terminal": self.terminal,
            "facts": self.schema.facts_schema(),
            "actions": [a.model_dump() for a in self.schema.actions],
            "settings": [s.model_dump() for s in self.schema.settings],
            "effects": {
                a: {"executor": d.executor, "shipped_mode": d.mode.value, "expires_s": d.expires}
                for a, d in self.effects.items()
            },
            "outcome": {
                "due_s": self.outcome.seconds,
                "unit": self.outcome.unit,
                "silence": self.outcome.silence,
                "bounds": list(self.outcome.bounds),
            },
        }


def schemas(points: Mapping[str, DecisionPoint]) -> dict[str, Point]:
    return {name: point.schema for name, point in points.items()}


def versions(points: Mapping[str, DecisionPoint]) -> dict[str, int]:
    return {name: point.schema.version for name, point in sorted(points.items())}
