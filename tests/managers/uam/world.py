"""A node with real processes, and a federation of UAM alone, in this process."""

import asyncio
import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

import tiki
from federation.clock import Clock, SystemClock
from federation.effects import Executor, FreezeFlag
from federation.ledger.store import Store
from federation.local import LocalFederation, points_of
from federation.points import schemas
from federation.records import Kind
from federation.settings import Settings, shipped_specs
from managers.uam import apps
from managers.uam.manager import Uam
from managers.uam.processes import Processes

PATIENCE = 120.0  # seconds; a deadline, not a measure


class Agent:
    """What the doers need of a node agent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tasks: set[asyncio.Task[None]] = set()
        self.told = 0

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def report_now(self) -> None:
        self.told += 1

    async def close(self) -> None:
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def bundle(**changed: str) -> tiki.Bundle:
    """The shipped spec, with some of its settings changed."""
    (source,) = tiki.read_directory(shipped_specs() / "uam")
    text = source.text
    for setting, value in changed.items():
        text = re.sub(rf"^- {setting}: .*$", f"- {setting}: {value}", text, flags=re.MULTILINE)
    return tiki.build([tiki.Source(source.path, text)], schemas(points_of([Uam])))


class World:
    """One node, its processes, and the manager that keeps them running."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.folder = folder
        self.settings = Settings(state=folder / "state", apps=folder / "apps.yaml")
        self.clock = clock or SystemClock()
        self.uam = Uam(self.settings)
        store = Store.open(f"sqlite:///{folder / 'ledger.db'}")
        self.federation = LocalFederation([self.uam], bundle(), store, self.clock, self.settings)
        self.start_agent()

    def start_agent(self) -> None:
        self.agent = Agent(self.folder / "node")
        self.processes = Processes(self.agent)
        doers = {"process.start": self.processes, "process.stop": self.processes}
        path = self.agent.folder / "effects.db"
        self.executor = Executor(path, doers, self.clock, FreezeFlag(self.settings.state))
        self.federation.executors["n1"] = self.executor

    async def restart_agent(self) -> None:
        await self.agent.close()
        self.executor.close()
        self.start_agent()

    def declare(self, text: str) -> None:
        (self.folder / "apps.yaml").write_text(text)
        self.uam.declare(apps.load(self.folder / "apps.yaml"))

    async def step(self) -> None:
        self.federation.report("uam", [{"node": "n1", **self.processes.figures()}])
        self.federation.tick()
        await self.federation.act()

    async def until(self, condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < deadline, self.uam.view(self.clock.now())
            await self.step()
            await asyncio.sleep(0.02)
        return found

    def shown(self, key: str) -> dict[str, Any]:
        return next((a for a in self.uam.view(self.clock.now())["apps"] if a["name"] == key), {})

    async def pid(self, key: str, other_than: int | None = None) -> int:
        """The process of an instance once it runs."""

        def running() -> int | None:
            shown = self.shown(key)
            return shown["pid"] if shown.get("status") == "running" and shown["pid"] != other_than else None

        return int(await self.until(running))

    def decided(self) -> list[str]:
        """The actions of all decisions, in order."""
        records = self.federation.store.read(kinds=[Kind.ANSWERED], points=["uam.restart"])
        return [msgspec.json.decode(record.body)["action"] for record in records]

    async def close(self) -> None:
        for instance in self.processes.instances.values():
            record = instance.record()
            if record is not None and record.alive:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(record.pid, signal.SIGKILL)
                await instance.ended()
        await self.agent.close()
        self.executor.close()
