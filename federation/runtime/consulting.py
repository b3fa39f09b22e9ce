"""What waits for the policy is carried to it, and what it says back to the desk."""

import asyncio
from collections.abc import Callable, Coroutine
from random import random
from typing import Any, Protocol

import msgspec

from federation.counsel import Heard
from federation.desk import Desk
from federation.errors import EliasError, Temporary
from federation.figures import SECONDS, Histogram
from federation.policy.tier import Consult, Said
from federation.records import Entry
from federation.replies import Rejected, Reply
from federation.runtime.link import Link

_said = msgspec.msgpack.Decoder(list[Said])
_packed = msgspec.msgpack.Encoder()


class Host(Protocol):
    """The manager whose decisions these are."""

    @property
    def desk(self) -> Desk: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]": ...

    async def do(self, work: Callable[[int], tuple[list[Entry], Any]], events: int = 1) -> Any: ...


class Consulting:
    """patience: seconds for which the policy is called again while its actor is away."""

    def __init__(self, host: Host, link: Link, patience: float) -> None:
        self._host = host
        self._link = link
        self._patience = patience
        self._asked: dict[str, asyncio.Future[Reply | None]] = {}
        self.seconds = Histogram(SECONDS)  # from the question to its place on record

    def send(self) -> None:
        """Ask about everything that waits and is not being asked about. To be called after each commit."""
        waiting = self._host.desk.consulting
        new = [decision for decision in waiting if decision not in self._asked] if waiting else []
        if new:
            loop = asyncio.get_running_loop()
            self._asked |= {decision: loop.create_future() for decision in new}
            self._host.spawn(self._ask(new))

    async def told(self, replies: list[list[Reply] | Rejected]) -> list[list[Reply] | Rejected]:
        """The same, with the policy's word in place of what waits for it."""
        if not self._asked:
            return replies
        given = (reply for one in replies if isinstance(one, list) for reply in one)
        asked = {reply.id: self._asked[reply.id] for reply in given if reply.id in self._asked}
        if not asked:
            return replies
        await asyncio.wait(asked.values())
        words = {decision: future.result() for decision, future in asked.items()}
        return [one if isinstance(one, Rejected) else [words.get(r.id) or r for r in one] for one in replies]

    async def _ask(self, decisions: list[str]) -> None:
        replies: dict[str, Reply] = {}
        begun = asyncio.get_running_loop().time()
        try:
            desk = self._host.desk
            heard = await self._heard({d: desk.consult(d) for d in decisions})
            replies = await self._host.do(lambda now: self._host.desk.hear(heard, now), len(heard))
        except Temporary:
            pass  # the state is being built anew: what still waits then is asked about again
        finally:
            self.seconds.observe(asyncio.get_running_loop().time() - begun)
            for decision in decisions:
                self._asked.pop(decision).set_result(replies.get(decision))

    async def _heard(self, consults: dict[str, Consult]) -> dict[str, Heard]:
        asked = [consult.prompt for consult in consults.values() if consult.at_once is None]
        answers, problem = iter(list[Said]()), ""
        if asked:
            try:
                raw = await self._link.call("policy", "score", _packed.encode(asked), patience=self._patience)
                answers = iter(_said.decode(raw))
            except EliasError as error:
                problem = str(error)
        heard = {}
        for decision, consult in consults.items():
            said = consult.at_once or next(answers, None)
            audit, explore = random(), random()  # noqa: S311 - samples, not secrets
            heard[decision] = Heard(consult.offered, said, audit, problem, explore)
        return heard
