"""How actors reach one another: by name, again and again while one is being replaced, until patience ends."""

import asyncio
from typing import Any, Protocol

import ray

from federation.errors import Bug, EliasError, Temporary
from federation.runtime.direct import Line, connect
from federation.runtime.service import NAMESPACE, actor_name

PATIENCE = 10.0  # seconds; a manager that was killed answers again after about 2
PAUSE = 0.05
DIRECT = ("submit", "score", "hear")  # methods called for every decision and report, for which actors listen on sockets


class Link(Protocol):
    async def call(self, child: str, method: str, *args: Any, patience: float = PATIENCE) -> Any:
        """What `child` (`ufm`, `gate`, `root`) answers. It may be asked twice: events are known by their ids.

        Raises Temporary when it did not answer for `patience` seconds, Refused as the child raised it, else Bug.
        """
        ...


class RayLink:
    """Some methods take the short way to an actor of this node; all other calls go through Ray."""

    def __init__(self) -> None:
        self._handles: dict[str, Any] = {}
        self._lines: dict[str, Line] = {}

    async def call(self, child: str, method: str, *args: Any, patience: float = PATIENCE) -> Any:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while True:
            try:
                return await asyncio.wait_for(self.once(child, method, *args), deadline - loop.time())
            except TimeoutError:
                raise Temporary(f"{child} did not answer within {patience:g} s") from None
            except Temporary as problem:
                if loop.time() + PAUSE > deadline:
                    raise problem from None
            await asyncio.sleep(PAUSE)

    async def once(self, child: str, method: str, *args: Any) -> Any:
        """What it answers, however long that takes. Raises Temporary where it is away or has too much to do."""
        line = await self._line(child) if method in DIRECT else None
        return await (line.call(method, *args) if line else self._through_ray(child, method, *args))

    async def _through_ray(self, child: str, method: str, *args: Any) -> Any:
        try:
            if child not in self._handles:
                self._handles[child] = ray.get_actor(actor_name(child), NAMESPACE)
            return await getattr(self._handles[child], method).remote(*args)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, EliasError) else Bug(f"{child}.{method}: {cause}") from None
        except (ray.exceptions.RayError, ValueError):
            self._handles.pop(child, None)
            raise Temporary(f"{child} is being restarted") from None

    async def _line(self, child: str) -> Line | None:
        line = self._lines.get(child)
        if line is None or line.broken:
            self._lines.pop(child, None)
            line = await connect(actor_name(child))
            if line is not None:
                self._lines[child] = line
        return line
