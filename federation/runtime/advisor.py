"""The advisors as an actor: cloud models, asked about one decision at a time, within a deadline and a budget.

In the supervision tree only where the settings name a provider. Where none of them can be used, for want of a key, it
says so to whoever asks, and a person decides.
"""

import asyncio
import getpass
import pwd
import socket
from random import Random
from typing import Any

import msgspec
import ray

from federation.advisors.brief import Known, brief
from federation.advisors.budget import Budget
from federation.advisors.panel import Panel
from federation.advisors.provider import Advisor
from federation.advisors.question import Advice, Question
from federation.advisors.similar import similar
from federation.clock import DAY, SystemClock
from federation.errors import EliasError, Refused, Temporary
from federation.figures import Histogram
from federation.ledger.store import Store
from federation.records import Kind, decode
from federation.runtime.roster import Roster
from federation.runtime.service import Service
from federation.settings import Settings

SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
PAGE = 500
LEDGER_AWAY = 0.5  # seconds until a database that did not answer is asked again
_FIRST_PERSON = 1000  # the lowest uid of an account that is a person's, by the convention of Linux distributions

_question = msgspec.msgpack.Decoder(Question)
_packed = msgspec.msgpack.Encoder()


class AdvisorService(Service):
    def __init__(self, settings: Settings, roster: str) -> None:
        super().__init__("advisor")
        self.settings = settings
        self.points = Roster(roster).points
        self.clock = SystemClock()
        self._turns = asyncio.Semaphore(settings.advisors.together)
        self._waiting = 0
        self._seconds = Histogram(SECONDS)

    async def start(self) -> None:
        while True:
            try:
                self.store = Store.open(self.settings.ledger_url, read_only=True)
                budget = await asyncio.to_thread(self._budget)
                break
            except Temporary as error:
                self.log.warning("waiting for the ledger: %s", error)
                await asyncio.sleep(LEDGER_AWAY)
        self.known = await asyncio.to_thread(self._known)
        self.panel = await asyncio.to_thread(self._panel, budget)
        for why in self.panel.missing:
            self.log.error("an advisor is skipped: %s", why)
        self._started.set()

    async def advise(self, raw: bytes) -> bytes:
        """The advice (msgpack Advice) on a Question (msgpack), within the deadline; its `problem` says why there is
        none."""
        await self._started.wait()
        question = _question.decode(raw)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        self._waiting += 1
        try:
            advice = await self._advice(question, begun + self.settings.advisors.deadline)
        finally:
            self._waiting -= 1
        self._seconds.observe(loop.time() - begun)
        if advice.problem:
            self.log.warning("no advice on %s: %s", question.decision, advice.problem)
        return _packed.encode(advice)

    async def health(self) -> dict[str, Any]:
        await self._started.wait()
        now, budget, limits = self.clock.now(), self.panel.budget, self.settings.advisors
        spent = budget.spent(now)
        return {
            **self.vitals(),
            "waiting": self._waiting,
            "seconds": self._seconds.plain(),
            "advisors": [standing._asdict() for standing in self.panel.standing()],
            "missing": list(self.panel.missing),
            "today": {
                **msgspec.structs.asdict(spent),
                "calls_most": limits.calls_a_day,
                "cost_most": limits.cost_a_day,
                "points": {
                    point: {"calls": one.calls, "cost": one.cost} for point, one in budget.by_point(now).items()
                },
            },
        }

    async def drain(self) -> None:
        await self.stop_tasks()
        await self.panel.close()
        self.store.close()

    async def _advice(self, question: Question, end: float) -> Advice:
        loop = asyncio.get_running_loop()
        point = self.points[question.point]
        try:
            async with asyncio.timeout_at(end):
                await self._turns.acquire()
        except TimeoutError:
            return Advice(problem=f"{self.settings.advisors.together} questions were under way until the deadline")
        try:
            limit = self.settings.advisors.similar
            try:
                past = await asyncio.to_thread(
                    similar, self.store, point.schema, question.asked, question.decision, limit
                )
            except EliasError as error:
                self.log.warning("no similar decisions: %s", error)
                past = []
            return await self.panel.advise(
                question.point, brief(point, question, past, self.known), max(0.0, end - loop.time())
            )
        finally:
            self._turns.release()

    def _panel(self, budget: Budget) -> Panel:
        """Of the providers that can be used."""
        found, missing = [], []
        for provider in self.settings.advisors.providers:
            try:
                found.append(Advisor(provider))
            except Refused as error:
                missing.append(f"{provider.model} is skipped: {error}")
        return Panel(found, self.settings.advisors, budget, self.clock, Random(), missing)  # noqa: S311 - for pauses

    def _budget(self) -> Budget:
        """What this day has brought so far is on record."""
        now = self.clock.now()
        budget = Budget(self.settings.advisors, now)
        before = None
        while records := self.store.latest(PAGE, kinds=[Kind.ADVISED], before=before):
            budget.replay(((one.header.point, decode(one.header.kind, one.body)) for one in records), now)
            before = records[-1].header.seq
            if records[-1].header.time // DAY != now // DAY:
                break
        return budget

    def _known(self) -> Known:
        """The hosts of the cluster and the people of this machine."""
        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        hosts = {self.node, socket.gethostname(), *(str(node.get("NodeManagerHostname", "")) for node in nodes)}
        users = {getpass.getuser(), *(one.pw_name for one in pwd.getpwall() if one.pw_uid >= _FIRST_PERSON)}
        users -= {"nobody", "root"}
        return Known(tuple(sorted(hosts)), tuple(sorted(users)), self.settings.advisors.withhold)
