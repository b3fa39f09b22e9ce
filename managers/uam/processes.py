"""What a node agent does for applications: starts, watches, checks and stops their processes.

The processes are not the agent's children and outlive it; a new agent finds them by their records and goes on watching.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from federation.effects import Doer, Order
from federation.errors import Refused
from federation.records import Outcome
from managers.uam import checks
from managers.uam.instance import Instance, Ordered, Record, sessions, uptime

CARE = 10.0  # seconds between two looks at the size of the logs


class Processes:
    """The doer of `process.start` and `process.stop` on one node. `agent`: has a folder, spawn and report_now."""

    def __init__(self, agent: Any) -> None:
        self.agent = agent
        self.folder: Path = agent.folder / "apps"
        self.instances: dict[str, Instance] = {}
        self.failed_checks: dict[str, int] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._adopt()
        agent.spawn(self._care())

    # -- effects -----------------------------------------------------------------------------------------------------

    async def do(self, order: Order) -> Outcome:
        async with self._locks[_key(order)]:
            if order.executor == "process.stop":
                return await self._stop(_key(order))
            return await self._start(order)

    async def probe(self, order: Order) -> Outcome:
        instance = self.instances.get(_key(order))
        record = instance.record() if instance is not None else None
        if order.executor == "process.stop":
            if record is not None and record.alive:
                return Outcome("failed", "interrupted before it ended")
            return Outcome("done", "found stopped after an interruption")
        if (
            instance is None
            or instance.ordered is None
            or instance.ordered.decision != order.decision
            or record is None
        ):
            return Outcome("unknown", "interrupted before a process was recorded")
        if record.status == "failed":
            return Outcome("failed", "it could not begin", {"effect": order.decision})
        return Outcome("done", "found started after an interruption", {"effect": order.decision, "pid": record.pid})

    async def _start(self, order: Order) -> Outcome:
        key, payload = _key(order), order.payload
        instance = self.instances.setdefault(key, Instance(self.folder / key))
        before = instance.record()
        if before is not None and before.alive:
            assert instance.ordered is not None
            if order.action == "start" and instance.ordered.digest == payload["digest"]:
                return Outcome("done", "it runs already", {"effect": instance.ordered.decision, "pid": before.pid})
            await self._end(key)
        ordered = Ordered(order.decision, payload["app"], payload["instance"], payload["digest"], payload["launch"])
        try:
            await asyncio.to_thread(instance.start, ordered)
        except Refused as error:
            return Outcome("failed", str(error), {"effect": order.decision})
        self._watch(key)
        record = instance.record()
        return Outcome("done", "", {"effect": order.decision, "pid": record.pid if record is not None else 0})

    async def _stop(self, key: str) -> Outcome:
        instance = self.instances.get(key)
        if instance is not None:
            await self._end(key)
            instance.forget()
            del self.instances[key]
        return Outcome("done", "" if instance is not None else "nothing of it ran")

    async def _end(self, key: str) -> None:
        watch = self._watches.pop(key, None)
        if watch is not None:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        await self.instances[key].stop()

    # -- watching ----------------------------------------------------------------------------------------------------

    def _adopt(self) -> None:
        for folder in sorted(self.folder.glob("*")):
            instance = Instance(folder)
            if instance.ordered is not None:
                self.instances[folder.name] = instance
                self._watch(folder.name)

    def _watch(self, key: str) -> None:
        self._watches[key] = self.agent.spawn(self._watching(key))

    async def _watching(self, key: str) -> None:
        """Look after one process until it ends, then tell at once."""
        instance = self.instances[key]
        self.failed_checks.pop(key, None)
        checking = asyncio.create_task(self._checking(key))
        try:
            await instance.ended()
        finally:
            checking.cancel()
            await asyncio.gather(checking, return_exceptions=True)
        self.agent.spawn(self.agent.report_now())

    async def _checking(self, key: str) -> None:
        instance = self.instances[key]
        launch, record = instance.launch, instance.record()
        check = launch.check
        if check is None or record is None:
            return
        self.failed_checks[key] = 0
        while True:
            await asyncio.sleep(check.every)
            if await checks.passes(check, launch):
                self.failed_checks[key] = 0
            elif uptime(record.started) >= check.after:
                self.failed_checks[key] += 1
                self.agent.spawn(self.agent.report_now())

    async def _care(self) -> None:
        while True:
            await asyncio.sleep(CARE)
            for instance in list(self.instances.values()):
                await asyncio.to_thread(instance.rotate)

    # -- telling -----------------------------------------------------------------------------------------------------

    def figures(self) -> dict[str, Any]:
        """processes: one entry for each instance that was ordered here. Times in seconds, memory in bytes."""
        records = {key: record for key, i in self.instances.items() if i.ordered and (record := i.record()) is not None}
        cpu: defaultdict[int, float] = defaultdict(float)
        memory: defaultdict[int, int] = defaultdict(int)
        for usage in sessions().values() if records else ():
            cpu[usage.session] += usage.cpu
            memory[usage.session] += usage.memory
        return {"processes": [self._figures(k, r, cpu[r.pid], memory[r.pid]) for k, r in records.items()]}

    def _figures(self, key: str, record: Record, cpu: float, memory: int) -> dict[str, Any]:
        ordered = self.instances[key].ordered
        assert ordered is not None
        known: dict[str, Any] = {
            "app": ordered.app,
            "instance": ordered.instance,
            "effect": ordered.decision,
            "digest": ordered.digest,
        }
        if record.status == "running":  # until its shim has written how it ended, though its process may be gone
            running = {
                "status": "running",
                "pid": record.pid,
                "uptime": uptime(record.started),
                "cpu_s": cpu,
                "memory": memory,
            }
            return {**known, **running, "failed_checks": self.failed_checks.get(key)}
        ago = max(0.0, time.time() - record.at) if record.at else 0.0
        ended = {"status": "exited", "exit_code": record.code, "ended": ago}
        if record.at:
            ended["ran"] = max(0.0, record.at - self.instances[key].ordered_at)
        return {**known, **ended}


def doers(agent: Any) -> dict[str, Doer]:
    processes = Processes(agent)
    return {"process.start": processes, "process.stop": processes}


def _key(order: Order) -> str:
    return f"{order.payload['app']}.{order.payload['instance']}"
