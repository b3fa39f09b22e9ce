"""A laboratory whose cases UIM looks after, on a virtual clock and a real ledger; without HTTP and without Ray."""

from pathlib import Path
from typing import Any

import tiki
from federation.clock import VirtualClock
from federation.escalation import Escalation
from federation.ledger.store import Store
from federation.local import LocalFederation, points_of
from federation.manager import hears
from federation.points import schemas
from federation.policy.tier import Tier
from federation.records import Event
from federation.replies import Reply
from federation.settings import Settings, shipped_specs
from managers.uim.cases.book import Book
from managers.uim.cases.case import Group
from managers.uim.cases.queue import Wanted
from managers.uim.manager import Uim
from tests.federation.lab import SPEC, Lab

POINTS = points_of([Lab, Uim])


class House:
    """`warm` opens cases; the clock stands still until it is told to move."""

    def __init__(
        self, folder: Path, escalation: Escalation | None = None, spec: str = SPEC, tier: Tier | None = None
    ) -> None:
        self.settings = Settings.model_construct(state=folder, escalation=escalation or Escalation())
        self.clock = VirtualClock()
        self.store = Store.open(str(folder / "ledger.db"))
        self.spec, self.tier = spec, tier
        self.posted = 0
        self._start()

    def _start(self) -> None:
        texts = [tiki.Source("lab.tiki", self.spec), *tiki.read_directory(shipped_specs() / "uim", "uim/")]
        bundle = tiki.build(texts, schemas(POINTS))
        self.uim = Uim(self.settings, POINTS)
        managers = [Lab(self.settings), self.uim]
        self.federation = LocalFederation(managers, bundle, self.store, self.clock, self.settings, {}, self.tier)

    def restart(self) -> None:
        """Everything is made anew from the ledger."""
        self._start()
        for desk in self.federation.desks.values():
            for record in self.store.read():
                header = record.header
                if header.point in desk.points or hears(desk.manager, header.kind, header.point, record.body):
                    desk.absorb(record)
        self.federation._cursor = self.store.head().size
        for name, desk in self.federation.desks.items():
            self.federation._commit(name, desk.settle(self.clock.now()))
        self.federation.settle()

    @property
    def book(self) -> Book:
        return self.uim.book

    def warm(self, *furnaces: str, heat: Any = 80) -> list[str]:
        """One case for each furnace; their ids."""
        return self._post("lab.measured", furnaces, {"heat": heat})

    def ask(self, *experiments: str) -> list[str]:
        """One approval for each experiment that wants to run; the ids of what wants to."""
        return self._post("lab.asked", experiments, {"danger": 10})

    def _post(self, type_: str, subjects: tuple[str, ...], data: dict[str, Any]) -> list[str]:
        self.posted += 1
        events = [Event(f"{self.posted} {n}", "tests", type_, name, None, data) for n, name in enumerate(subjects)]
        return [reply.id for some in self.federation.post(events) for reply in some if isinstance(reply, Reply)]

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.federation.tick()

    def answer(self, case: str, action: str = "hold", by: str = "ada", words: str = "", manager: str = "lab") -> None:
        self.federation.answer(manager, case, action, by, words)

    def groups(self, **wanted: Any) -> list[Group]:
        return self.book.page(Wanted(**wanted)).groups
