"""A simulated cluster: what it asks, what its nodes report, and what comes of what it is told and ordered to do."""

from collections.abc import Iterator, Mapping
from typing import Any

from federation.effects import Order
from federation.records import Event, Outcome
from training.world.agenda import Agenda
from training.world.applications import Applications
from training.world.chances import WEEK, Chances
from training.world.fleet import Fleet
from training.world.mail import Mail
from training.world.matters import Matters
from training.world.troubles import Troubles

STEP = 5.0  # seconds between two looks at memory and disks
APPLICATIONS: Mapping[str, int] = {
    "gateway": 3,
    "features": 2,
    "tokenizer": 2,
    "registry": 1,
    "billing": 1,
    "notebook": 2,
}
"""The declared ones, with their instances."""

EXECUTORS = ("job.start", "job.stop", "node.cordon", "node.uncordon", "process.start", "process.stop")


class World:
    """Nothing in it depends on a clock: `advance` moves it. source: of its events; it tells two runs apart."""

    def __init__(self, seed: int, nodes: int = 20, chances: Chances = WEEK, source: str = "world") -> None:
        self.agenda, self.troubles = Agenda(), Troubles()
        self.source = source
        self._asks: list[Event] = []
        self.fleet = Fleet(seed, nodes, chances, self.agenda, self.troubles, self._submit)
        common = (chances, self.agenda, self.troubles, self._ask, source)
        self.applications = Applications(seed, APPLICATIONS, *common)
        self.mail = Mail(seed, *common)
        self.matters = Matters(seed, *common)
        self.fleet.beside = self.applications.memory
        self.fleet.went_dark = self.applications.went_dark

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self.agenda.now

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            before = self.now
            self.agenda.run(min(end, before + STEP))
            self.fleet.settle(self.now - before)

    # -- what it says ------------------------------------------------------------------------------------------------

    def take_asks(self) -> list[Event]:
        """What was asked since the last call."""
        asked, self._asks[:] = list(self._asks), []
        return asked

    def reports(self) -> Iterator[dict[str, Any]]:
        """One of each node that is heard, as a node agent would send it."""
        for report in self.fleet.reports():
            yield {**report, "processes": self.applications.report(report["node"])}

    def take_ended(self) -> list[tuple[str, Outcome]]:
        """The decisions whose jobs came to an end since the last call, and how."""
        return self.fleet.take_ended()

    # -- what it is told ---------------------------------------------------------------------------------------------

    def answered(self, subject: str, action: str, args: Mapping[str, Any]) -> None:
        """Somebody who asked hears what was decided."""
        self.matters.answered(subject, action, args)

    def heard(self, order: Order) -> bool:
        """Whether the node that is to carry out an order can be reached."""
        node = str(order.args.get("node", ""))
        return node not in self.fleet.machines or self.fleet.heard(node)

    def perform(self, order: Order) -> Outcome | None:
        """What a node agent is ordered to do; None: it goes on, and `take_ended` tells of its end."""
        match order.executor:
            case "job.start":
                return self.fleet.start(order)
            case "job.stop":
                return self.fleet.stop(order)
            case "node.cordon" | "node.uncordon":
                return self.fleet.cordon(order, order.executor == "node.cordon")
            case "process.start":
                return self.applications.start(order)
            case "process.stop":
                return self.applications.stop(order)
        return Outcome("refused", f"nobody here knows how to do `{order.executor}`")

    # -- inside ------------------------------------------------------------------------------------------------------

    def _ask(self, event: Event) -> None:
        self._asks.append(event)

    def _submit(self, job: str, data: dict[str, Any]) -> None:
        self._ask(Event(f"submit {job}", self.source, "elias.job.submitted", job, None, data))
