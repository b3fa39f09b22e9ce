"""A manager folds each record once, whoever tells it first: its own hand, the log's answer, or the ledger itself."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from federation.bundles.acceptance import record_of
from federation.bundles.artefact import make
from federation.clock import SystemClock
from federation.desk import Desk
from federation.ledger.appender import Appender, Batch, Receipt
from federation.ledger.store import Store
from federation.points import versions
from federation.records import Entry, Event, Kind, encode
from federation.runtime.manager import ManagerService
from federation.settings import Settings
from managers.ucm.manager import Ucm
from managers.uim.launch import ROSTER

SPECS = Path(__file__).parents[2] / "tiki_specs"


class Alone(ManagerService):
    """Without Ray: its appender is in this process, and answers when it is let."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("ucm", settings, ROSTER)
        self.log_of_all = Store.open(settings.ledger_url)
        self.appender = Appender(self.log_of_all, SystemClock(), "test")
        self.appender.open()
        points = self.roster.points
        texts = {path.name: path.read_text() for path in SPECS.rglob("*.tiki") if not path.name.endswith("_test.tiki")}
        bundle = record_of(make(texts, versions(points), "1"), origin="file", by="test", reason="")
        incarnation = self.appender.register("gate", {})
        self.appender.commit([Batch("gate", incarnation, 0, [Entry(Kind.BUNDLE, "", "", "", encode(bundle))])])
        self.written, self.answers = asyncio.Event(), asyncio.Event()
        self.tasks = set[asyncio.Task[Any]]()

    async def begin(self) -> None:
        self.store = Store.open(self.settings.ledger_url, read_only=True)
        self.incarnation, self.epoch = await self._appender("register", self.name, {})
        self._rebuild(await self._bundle_in_force())
        self._pipeline.start()

    async def _appender(self, method: str, *args: Any, patience: float = 0.0) -> Any:
        if method == "register":
            return self.appender.register(*args), self.appender.epoch
        if method == "snapshot":
            return None
        (receipt,) = self.appender.commit([msgspec.msgpack.decode(args[0], type=Batch)])
        assert isinstance(receipt, Receipt), receipt
        self.written.set()
        await self.answers.wait()
        return receipt.first, receipt.last, receipt.time

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        return task

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.store.close()
        self.log_of_all.close()


def message(number: int) -> bytes:
    data = {"target": "sink", "body": {"n": number}}
    return msgspec.msgpack.encode([Event(f"m-{number}", "test", "elias.message.send", "topic", None, data)])


def ucm(desk: Desk) -> Ucm:
    assert isinstance(desk.manager, Ucm)
    return desk.manager


@pytest.mark.parametrize("told", ["catching up", "a push that was missed", "a tick after one", "another round"])
async def test_what_is_in_the_ledger_before_its_answer_is_here_is_folded_once(tmp_path: Path, told: str) -> None:
    settings = Settings.model_validate(
        {"state": tmp_path, "targets": {"sink": {"kind": "webhook", "url": "http://127.0.0.1:9/"}}}
    )
    manager = Alone(settings)
    await manager.begin()
    try:
        sent = asyncio.ensure_future(manager.submit(message(1)))
        await manager.written.wait()
        ways = {
            "catching up": lambda: manager.do(manager._catching_up),
            "a push that was missed": lambda: manager.follow(5, msgspec.msgpack.encode([])),
            "a tick after one": lambda: manager.tick(5, 0, 0),
            "another round": lambda: asyncio.gather(manager.submit(message(2)), manager.do(manager._catching_up)),
        }
        catching_up = asyncio.ensure_future(ways[told]())
        for _ in range(20):  # turns of the event loop: it has been prepared
            await asyncio.sleep(0)
        manager.answers.set()
        await asyncio.gather(sent, catching_up)
        queue = ucm(manager.desk).state.queue
        for target in queue.targets.values():
            waiting = [id_ for line in target.lines.values() for id_ in line]
            assert sorted(waiting) == sorted(queue.messages)
            sending = [id_ for id_, message in queue.messages.items() if message.pending]
            assert (target.depth, target.in_flight) == (len(waiting), len(sending))
        before = manager.desk.snapshot()
        manager._rebuild(manager.desk.bundle)
        assert manager.desk.snapshot() == before
    finally:
        await manager.end()
