"""What the handlers of the API stand on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from federation.clock import Clock
from federation.ledger.store import Store
from federation.points import DecisionPoint
from federation.settings import Settings
from managers.uim.api.lanes import Lanes
from managers.uim.link import Link


@dataclass
class Context:
    """children: every actor that is to answer. nodes: gives the newest reports. refused, blocked: see `Guard`."""

    settings: Settings
    points: Mapping[str, DecisionPoint]
    children: tuple[str, ...]
    link: Link
    store: Store
    clock: Clock
    token: str
    nodes: Callable[[], list[dict[str, Any]]]
    refused: Callable[[str], None] = lambda address: None
    blocked: Callable[[str], bool] = lambda address: False
    lanes: Lanes = field(init=False)

    def __post_init__(self) -> None:
        # What the gate asks, it asks itself: from outside it would be a way around it.
        self.lanes = Lanes(self.link, [p for p in self.points.values() if p.schema.manager != "gate"])

    @property
    def managers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(p.schema.manager for p in self.points.values()))


def of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context
