"""What every supervised actor has in common: it answers pings, says how it is, and dies when its tasks die."""

import asyncio
import logging
import os
import socket
from collections.abc import Coroutine
from typing import Any

import psutil

NAMESPACE = "elias"


def actor_name(child: str) -> str:
    return f"elias.{child}"


class Service:
    """Base of the actors under the root supervisor. A task of theirs that fails ends the process: let the supervisor start a clean one."""

    def __init__(self) -> None:
        self.log = logging.getLogger(type(self).__name__)
        self.node = os.environ.get("ELIAS_NODE") or socket.gethostname()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = asyncio.Event()
        self._process = psutil.Process()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.log.critical("a task failed; ending this process", exc_info=task.exception())
            os._exit(2)

    async def ping(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "node": self.node}

    async def wait_closed(self) -> None:
        """Returns when the service is drained; a supervisor that holds this call learns of a death at once."""
        await self._closed.wait()

    async def drain(self) -> None:
        await self.stop_tasks()

    async def stop_tasks(self) -> None:
        self._closed.set()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def vitals(self) -> dict[str, Any]:
        with self._process.oneshot():
            times, memory = self._process.cpu_times(), self._process.memory_info()
        return {"pid": os.getpid(), "node": self.node, "cpu_s": times.user + times.system, "rss": memory.rss}
