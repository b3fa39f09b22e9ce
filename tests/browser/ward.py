"""A cluster that had some troubles, on the pages: the simulated world ran for a while beside a federation, and its
cases wait. For pictures of the pages, and for what must hold on every one of them.
"""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from federation.policy.registry import Stage, Step
from federation.records import Access
from federation.runtime.root import Member
from managers.uim import tokens
from managers.uim.api import app
from managers.uim.api.context import Context
from managers.uim.cases.book import Book
from managers.uim.manager import Uim
from managers.ulm.manager import Ulm
from tests.managers.uim.conftest import LocalLink, _logs, until
from training.world.answerers import Skilled
from training.world.chances import DEMO
from training.world.local import Run
from training.world.world import World

MANAGERS = ("ufm", "ucm", "urm", "ulm", "uim", "uam")
NEVER = 1e7  # seconds until a person answers: their cases stay open


class Link(LocalLink):
    """What the actors of a whole cluster would answer."""

    def on_view(self, child: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.federation.desks[child].manager.view(self.federation.clock.now())
        return shown

    def on_health(self, child: str) -> dict[str, Any]:
        number = sum(map(ord, child))
        health = {"pid": 4000 + number, "node": "node-00", "cpu_s": number / 3, "rss": 60_000_000 + 90_000 * number}
        if child == "policy":
            engine = {"engine": "embedded", "state": "closed"}
            return {**health, "scored": 412, "engines": [engine], "answered": {"embedded": 318}, "failed": {}}
        desk = self.federation.desks.get(child)
        return health if desk is None else {**health, "events": 40 * number, "cases": len(desk.state.cases)}

    def on_tree(self, child: str) -> list[Member]:
        now = self.federation.clock.now()
        names = ("appender", "gate", "policy", *MANAGERS)
        tree = [Member("elias", "", "running", now, 0, 0, "")]
        for name in names:
            tree += [Member(f"watch.{name}", "elias", "running", now, 0, 0, "")]
            tree += [Member(name, f"watch.{name}", "running", now, int(name == "ulm"), 4000, "node-00")]
        return tree

    def on_bundle(self, child: str) -> dict[str, Any]:
        bundle = self.federation.desks["ufm"].bundle
        return {"digest": bundle.digest, "sources": bundle.texts, "problem": {}}


class Ward:
    def __init__(self, run: Run, folder: Path) -> None:
        self.run = run
        uim = run.federation.desks["uim"].manager
        assert isinstance(uim, Uim)
        self.uim = uim
        self.link = Link(run.federation)
        self.token = tokens.make(run.settings.state)
        self.context = Context(
            settings=run.settings,
            points=run.points,
            children=("appender", "gate", "policy", *MANAGERS),
            link=self.link,
            store=run.store,
            clock=run.clock,
            token=self.token,
            logs=_logs,
            book=self._book,
            refused=lambda address: None,
            blocked=lambda address: False,
            audit=self._audit,
        )
        listening = socket.create_server(("127.0.0.1", 0))
        self.server = uvicorn.Server(
            uvicorn.Config(app.create(self.context), lifespan="off", log_config=None, ws="none")
        )
        self.thread = threading.Thread(target=self.server.run, args=([listening],), daemon=True)
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"

    def _book(self) -> Book:
        return self.uim.book

    async def _audit(self, word: Access) -> None:
        """Nobody reads who looked at the pictures."""


def _on_trial(run: Run) -> None:
    """A challenger is in its canary at one point, another one in the shadow."""
    ulm = run.federation.desks["ulm"].manager
    assert isinstance(ulm, Ulm)
    for point, version, to in (
        ("ucm.coordination", "3f9a2c71" * 8, Step(Stage.CANARY, 0.2)),
        ("urm.package", "51b0d4e8" * 8, Step(Stage.SHADOW)),
    ):
        said = ulm.trials.word(
            ulm.state.trials, point, version, to, by="ada", reason="trained anew", at=run.clock.now()
        )
        run.federation.note(said, "ulm")


@contextmanager
def ward(folder: Path, seconds: float, seed: int = 4) -> Iterator[Ward]:
    """seconds: for which the world ran, on its own clock."""
    loop, elsewhere = asyncio.new_event_loop(), ThreadPoolExecutor(1)  # a browser's loop may run in this thread

    def do(work: Coroutine[Any, Any, Any]) -> None:
        elsewhere.submit(loop.run_until_complete, work).result()

    advisor = Skilled("advisor", skill=0.9, takes=20.0, unsure=0.7)
    run = Run(World(seed, chances=DEMO), folder, advisor, Skilled("person", skill=0.9, takes=NEVER), seed=seed)
    uim = run.federation.desks["uim"].manager
    assert isinstance(uim, Uim)
    uim.house = run.points
    uim.book = Book(uim.state.book, run.settings.escalation, run.points)
    made = Ward(run, folder)
    do(run.__aenter__())
    do(run.go_on(seconds, lambda done, total: made.context.trends.take(made.link.on_view("ufm")["nodes"])))
    _on_trial(run)
    made.thread.start()
    until(lambda: made.server.started)
    try:
        yield made
    finally:
        made.context.feed.close()
        made.server.should_exit = True
        made.thread.join(10)
        do(run.__aexit__())
        elsewhere.shutdown()
        loop.close()
