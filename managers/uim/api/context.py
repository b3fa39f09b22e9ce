"""What the handlers of the API stand on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from starlette.requests import Request

from federation.clock import Clock
from federation.ledger.store import Store
from federation.points import DecisionPoint
from federation.records import Access
from federation.runtime.link import Link
from federation.settings import Settings
from managers.uim.access.entrance import Entrance
from managers.uim.api.feed import Feed
from managers.uim.api.lanes import Lanes
from managers.uim.api.load import Trends
from managers.uim.cases.book import Book
from managers.uim.points import RESTART
from managers.uim.reading import Reader


@dataclass
class Context:
    """children: every actor that is to answer. logs: the output of a job, by its id. refused: told the address of each
    wrong token. blocked: whether an address is to be answered nothing.
    """

    settings: Settings
    points: dict[str, DecisionPoint]
    children: tuple[str, ...]
    link: Link
    store: Store
    clock: Clock
    token: str
    logs: Callable[[str], AsyncIterator[str]]
    book: Callable[[], Book]
    refused: Callable[[str], None]
    blocked: Callable[[str], bool]
    audit: Callable[[Access], Awaitable[None]]
    access: Entrance = field(init=False)
    lanes: Lanes = field(init=False)
    reader: Reader = field(init=False)
    feed: Feed = field(init=False)
    trends: Trends = field(init=False)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.access = Entrance(self.settings, self.clock, self.token)
        self.lanes = Lanes(self.link, self.asked)
        self.reader = Reader(self.store, self.points)
        self.feed = Feed(self.store)
        self.trends = Trends(self.link)

    @property
    def asked(self) -> list[DecisionPoint]:
        """The points that events may ask. What the gate asks, it asks itself: from outside it would be a way around it.
        Who may send events may not restart machines: that has a request of its own."""
        return [p for p in self.points.values() if p.schema.manager != "gate" and p.name != RESTART.name]

    @property
    def managers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(p.schema.manager for p in self.points.values()))


def of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context
