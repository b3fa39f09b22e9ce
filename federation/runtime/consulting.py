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
from federation.policy.question import Prompt
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
        self._shadowing = False
        self.seconds = Histogram(SECONDS)  # from the question to its place on record

    def send(self) -> None:
        """Ask about everything that waits and is not being asked about. To be called after each commit."""
        if self._host.desk.counsel.shadow and not self._shadowing:
            self._shadowing = True
            self._host.spawn(self._overhear())
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

    async def _overhear(self) -> None:
        """Ask challengers in the shadow, one call at a time: what comes meanwhile waits, and is dropped where there is
        no room."""
        try:
            while consults := self._host.desk.shadows():
                words = await self._said(consults)
                said = {decision: word for decision, (word, _) in words.items()}
                await self._host.do(lambda now, said=said: (self._host.desk.overhear(said, now), None))  # type: ignore[misc]
        except Temporary:
            pass  # the state is being built anew: these are missed by nobody
        finally:
            self._shadowing = False

    async def _heard(self, consults: dict[str, Consult]) -> dict[str, Heard]:
        heard = {}
        for decision, (word, problem) in (await self._said(consults)).items():
            consult = consults[decision]
            said = consult.heard(word, problem)
            audit, explore = random(), random()  # noqa: S311 - samples, not secrets
            heard[decision] = Heard(consult.offered, said, audit, problem, explore, consult.turn)
        return heard

    async def _said(self, consults: dict[str, Consult]) -> dict[str, tuple[Said | None, str]]:
        """What was said to each, or why nothing was. Each policy is asked in a call of its own."""
        found: dict[str, tuple[Said | None, str]] = {}
        asked: dict[tuple[str, ...], list[str]] = {}
        for decision, consult in consults.items():
            if consult.at_once is None:
                asked.setdefault(consult.turn.policies, []).append(decision)
            else:
                found[decision] = consult.at_once, ""
        calls = (self._call(versions, [consults[d].prompt for d in some]) for versions, some in asked.items())
        for decisions, (said, problem) in zip(asked.values(), await asyncio.gather(*calls), strict=True):
            words = iter(said)
            found |= {decision: (next(words, None), problem) for decision in decisions}
        return found

    async def _call(self, versions: tuple[str, ...], prompts: list[Prompt]) -> tuple[list[Said], str]:
        try:
            more = (list(versions),) if versions else ()
            raw = await self._link.call("policy", "score", _packed.encode(prompts), *more, patience=self._patience)
        except EliasError as error:
            return [], str(error)
        return _said.decode(raw), ""
