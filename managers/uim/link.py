"""How the API reaches the other actors: by name, again and again while one is being replaced, until patience ends."""

import asyncio
from typing import Any, Protocol

import ray

from federation.errors import Bug, EliasError, Temporary
from federation.runtime.service import NAMESPACE, actor_name

PATIENCE = 10.0  # seconds; a manager that was killed answers again after about 2
PAUSE = 0.05


class Link(Protocol):
    async def call(self, child: str, method: str, *args: Any, patience: float = PATIENCE) -> Any:
        """What `child` (`ufm`, `gate`, `root`) answers. It may be asked twice: events are known by their ids.

        Raises Temporary when it did not answer for `patience` seconds, Refused as the child raised it, else Bug.
        """
        ...


class RayLink:
    def __init__(self) -> None:
        self._handles: dict[str, Any] = {}

    async def call(self, child: str, method: str, *args: Any, patience: float = PATIENCE) -> Any:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        problem: EliasError
        while True:
            try:
                answer = getattr(self._handle(child), method).remote(*args).as_future()
                return await asyncio.wait_for(answer, deadline - loop.time())
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                problem = cause if isinstance(cause, EliasError) else Bug(f"{child}.{method}: {cause}")
                if not isinstance(problem, Temporary):
                    raise problem from None
            except TimeoutError:
                raise Temporary(f"{child} did not answer within {patience:g} s") from None
            except (ray.exceptions.RayError, ValueError):
                self._handles.pop(child, None)
                problem = Temporary(f"{child} is being restarted")
            if loop.time() + PAUSE > deadline:
                raise problem from None
            await asyncio.sleep(PAUSE)

    def _handle(self, child: str) -> Any:
        if child not in self._handles:
            self._handles[child] = ray.get_actor(actor_name(child), NAMESPACE)
        return self._handles[child]
