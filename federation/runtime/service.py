"""What every supervised actor has in common: it answers pings, says how it is, and dies when its tasks die."""

import asyncio
import gc
import logging
import logging.handlers
import os
import socket
import time
from collections.abc import Coroutine, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import psutil

from federation.runtime import direct
from federation.runtime.cluster import NODE, STATE
from federation.settings import Settings

HEAD_RESOURCE = "node:__internal_head__"  # which Ray gives the head alone
NAMESPACE = "elias"

_T = TypeVar("_T")


def actor_name(child: str) -> str:
    return f"elias.{child}"


def here(settings: Settings) -> Settings:
    """The settings as this node means them: they come from the head, and the state folder is each node's own."""
    state = os.environ.get(STATE)
    return settings.model_copy(update={"state": Path(state)}) if state else settings


def log_to_file(name: str) -> None:
    """Send this process's log to `<ELIAS_LOGS>/<name>.log`, rotated at 4 MB; without the variable it goes where Ray
    puts it.
    """
    folder = os.environ.get("ELIAS_LOGS")
    if folder:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        path = os.path.join(folder, f"{name}.log")
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=4 << 20, backupCount=1)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logging.getLogger().addHandler(handler)
        logging.getLogger().setLevel(logging.INFO)
        for noisy in ("ray", "httpx", "httpx2", "httpcore", "asyncio"):
            logging.getLogger(noisy).setLevel(logging.WARNING)


class Service:
    """Base of the actors under the root supervisor. A task of theirs that fails ends the process: let the supervisor
    start a clean one.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.log = logging.getLogger(f"elias.{name}")
        log_to_file(name)
        self.node = os.environ.get(NODE) or socket.gethostname()
        self._elias = version("elias")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = asyncio.Event()
        self._started = asyncio.Event()  # set by whoever has to be waited for: Ray carries calls before the start
        self._listener: direct.Listener | None = None
        self._process = psutil.Process()

    @staticmethod
    def settle_memory() -> None:
        """Leave what was made while starting out of garbage collection, and collect the rest seldom: of a decision's
        objects few are in a cycle, and looking for those costs a tenth of its time."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)

    async def listen(self, methods: Mapping[str, direct.Method]) -> None:
        """Answer these also over a socket, to actors of this node."""
        self._listener = await direct.Listener.open(actor_name(self.name), methods)

    def spawn(self, work: Coroutine[Any, Any, _T]) -> "asyncio.Task[_T]":
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
        """elias: the version that this process runs. time: by the clock of this machine (s since 1970)."""
        return {"pid": os.getpid(), "node": self.node, "elias": self._elias, "time": time.time()}

    async def wait_closed(self) -> None:
        """Returns when the service is drained; a supervisor that holds this call learns of a death at once."""
        await self._closed.wait()

    async def drain(self) -> None:
        await self.stop_tasks()

    async def stop_tasks(self) -> None:
        self._closed.set()
        if self._listener is not None:
            await self._listener.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await direct.hang_up()

    def vitals(self) -> dict[str, Any]:
        with self._process.oneshot():
            times, memory = self._process.cpu_times(), self._process.memory_info()
        return {"pid": os.getpid(), "node": self.node, "cpu_s": times.user + times.system, "rss": memory.rss}
