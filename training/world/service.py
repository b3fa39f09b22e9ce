"""A simulated world as the node agents of a federation that really runs: one actor for the whole fleet.

It reports for every node that is heard, does what the gate releases through an executor like any agent's, asks over the
HTTP API with the token of the installation, and receives messages where the targets of the settings point.
"""

import asyncio
import contextlib
import time
from typing import Any

import msgspec

from federation.effects import Order
from federation.errors import Bug, EliasError, Temporary
from federation.records import Event, Outcome
from federation.runtime.agent import NodeService
from federation.settings import Settings
from managers.uim.cli.client import Api
from training.world.chances import DEMO
from training.world.doers import RETRY_AFTER, Hands
from training.world.mail import NO_ANSWER
from training.world.world import World

TURN = 0.25  # seconds between two looks at the world
ASKING = 0.5  # seconds between two batches of questions
WAITING = 2.0  # seconds until a question that is not answered yet is looked at again
SILENCE = 3.0  # seconds for which a deaf target keeps a sender waiting: longer than its time-out
BATCH = 100  # events that are posted together
LARGEST = 1 << 20  # bytes of a message that are read
KEPT = 500  # pieces of news


class News(msgspec.Struct, frozen=True):
    """at: seconds since the beginning. kind: trouble, or done by ELIAS."""

    number: int
    at: float
    kind: str
    text: str


class FleetService(NodeService):
    """listeners: the managers (and the gate) that want the reports. speed: how much faster than the clock the world
    lives. post: the port on loopback where messages arrive."""

    def __init__(
        self, settings: Settings, listeners: tuple[str, ...], seed: int, nodes: int, speed: float, post: int
    ) -> None:
        super().__init__("fleet", settings, "fleet")
        self.listeners, self.speed, self.port = listeners, speed, post
        self.world = World(seed, nodes, DEMO, source=f"world/{seed}/{time.time_ns()}")
        self.open: dict[str, str] = {}  # decisions that the world waits for, and what they are about
        self.news: list[News] = []
        self._told = self._reports = 0

    async def start(self) -> None:
        self.hands = Hands(self.world)
        self.take_orders(self.hands.doers())
        self.api = Api(self.settings)
        self._letters = await asyncio.start_server(self._receive, "127.0.0.1", self.port)
        for work in (self._live(), self._report(), self._ask(), self._listen()):
            self.spawn(work)

    # -- as node agents do -------------------------------------------------------------------------------------------

    async def execute(self, order: Order) -> Outcome:
        """Temporary: its node is not heard, as if nobody answered."""
        if not self.world.heard(order):
            raise Temporary("the node does not answer")
        done = await super().execute(order)
        if order.executor != "job.start":  # how a job ended is told by its trouble
            self._add("done", _deed(order, done))
        return done

    async def health(self) -> dict[str, Any]:
        return {**self.vitals(), "reports": self._reports, "world_s": self.world.now}

    async def drain(self) -> None:
        await super().drain()
        self._letters.close()

    async def _report(self) -> None:
        while True:
            reports = list(self.world.reports())
            self._reports += len(reports)
            await self.reporter.send(self.listeners, reports)
            await asyncio.sleep(self.settings.telemetry.interval)

    # -- the world ---------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            await asyncio.sleep(TURN)
            now = loop.time()
            self.world.advance((now - last) * self.speed)
            last = now
            self.hands.settle()
            for trouble in self.world.troubles.all[self._told :]:
                self._add("trouble", f"{trouble.kind} {trouble.subject}: {trouble.what}")
            self._told = len(self.world.troubles.all)

    async def tell(self, after: int) -> list[News]:
        """What happened since the piece of news of this number."""
        return [one for one in self.news if one.number > after]

    def _add(self, kind: str, text: str) -> None:
        number = self.news[-1].number + 1 if self.news else 1
        self.news = [*self.news[1 - KEPT :], News(number, self.world.now, kind, text)]

    async def _ask(self) -> None:
        """Post what the world asks; while nobody answers it waits."""
        asked: list[Event] = []
        while True:
            await asyncio.sleep(ASKING)
            asked += self.world.take_asks()
            if not asked:
                continue
            try:
                answer = await asyncio.to_thread(self.api.post, "/v1/events", [_cloud(e) for e in asked[:BATCH]])
            except (Temporary, Bug) as error:
                self.log.info("the world asks again: %s", error)
                continue
            for result in answer["results"]:
                for decision in result.get("decisions", ()):
                    self._heard(decision)
            asked = asked[BATCH:]

    async def _listen(self) -> None:
        """Look after the questions that were not answered at once."""
        while True:
            await asyncio.sleep(WAITING)
            for decision in list(self.open):
                with contextlib.suppress(EliasError):
                    self._heard(await asyncio.to_thread(self.api.get, f"/v1/decisions/{decision}"))

    def _heard(self, decision: dict[str, Any]) -> None:
        id_, subject = str(decision["id"]), str(decision["subject"])
        if subject not in self.world.matters.open:
            return
        if decision["status"] == "waiting":
            self.open[id_] = subject
        else:
            self.open.pop(id_, None)
            self.world.answered(subject, str(decision.get("action", "")), decision.get("args", {}))

    # -- where messages arrive ---------------------------------------------------------------------------------------

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request: the head tells all that is needed (RFC 9112); the connection is closed after the answer."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            await reader.readexactly(min(int(fields.get("content-length", "0")), LARGEST))
            target = head[0].split(" ")[1].strip("/")
            status = self.world.mail.receive(target, fields.get("webhook-id", ""))
            if status == NO_ANSWER:
                await asyncio.sleep(SILENCE)
            else:
                retry = f"Retry-After: {RETRY_AFTER / 4:.0f}\r\n" if status == 429 else ""
                length = "" if status == 204 else "Content-Length: 0\r\n"
                writer.write(f"HTTP/1.1 {status} -\r\n{retry}{length}Connection: close\r\n\r\n".encode())
                await writer.drain()
        except (OSError, ValueError, IndexError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a sender that went away, or no sender
        finally:
            writer.close()


def _deed(order: Order, outcome: Outcome) -> str:
    about = ", ".join(f"{name} {value}" for name, value in order.args.items() if name in ("job", "node", "to"))
    failed = "" if outcome.status == "done" else f" ({outcome.status}: {outcome.detail})"
    return f"{order.action} {order.subject}{f': {about}' if about else ''}{failed}"


def _cloud(event: Event) -> dict[str, Any]:
    """As CloudEvents 1.0 writes it in JSON."""
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "data": event.data,
    }
