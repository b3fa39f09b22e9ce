"""The policy as an actor: the engines, asked about many decisions at once.

Managers ask it over a socket. What arrives within a few milliseconds is scored together, for a pass over 16 prompts
costs an engine little more than a pass over one. Each policy has a lane of its own, so that a challenger that is slow,
or is being read from the disk, is in nobody's way.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from federation.clock import SystemClock
from federation.errors import EliasError
from federation.figures import SECONDS, Histogram
from federation.policy.engines import chain
from federation.policy.question import Prompt
from federation.policy.shelf import Shelf
from federation.policy.tier import Said
from federation.runtime.service import Service
from federation.settings import Settings

_prompts = msgspec.msgpack.Decoder(list[Prompt])
_packed = msgspec.msgpack.Encoder()

_Waiting = tuple[list[Prompt], "asyncio.Future[list[Said]]", float]
"""The prompts, who waits, and since when (s, of the event loop)."""


class PolicyService(Service):
    def __init__(self, settings: Settings) -> None:
        super().__init__("policy")
        self.settings = settings
        self._lanes: dict[tuple[str, ...], list[_Waiting]] = {}
        self._shelf = Shelf(settings, SystemClock())
        self._batches = self._scored = self._stood_in = 0
        self._stages = {stage: Histogram(SECONDS) for stage in ("queue", "score")}

    async def start(self) -> None:
        self._chain = await chain(self.settings.policy, SystemClock())
        self._started.set()
        await self.listen({"score": self.score})
        self.settle_memory()

    async def score(self, raw: bytes, versions: Sequence[str] = ()) -> bytes:
        """Score prompts (msgpack list of Prompt) with the first of these policies of the store that can be asked, or
        with what the settings name; msgpack list of Said. Temporary: no engine answered in time.
        """
        await self._started.wait()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Said]] = loop.create_future()
        mine = _prompts.decode(raw), future, loop.time()
        lane = tuple(versions)
        if lane in self._lanes:
            self._lanes[lane].append(mine)
        else:
            self._lanes[lane] = [mine]
            self.spawn(self._serve(lane))
        return _packed.encode(await future)

    async def health(self) -> dict[str, Any]:
        await self._started.wait()
        counts = self._chain.counts
        return {
            **self.vitals(),
            "batches": self._batches,
            "scored": self._scored,
            "stages": {stage: seconds.plain() for stage, seconds in self._stages.items()},
            "engines": [standing._asdict() for standing in self._chain.standing()],
            "answered": dict(counts.answered),
            "failed": dict(counts.failed),
            "failed_over": dict(counts.failed_over),
            "lost": counts.lost,
            "loaded": self._shelf.versions,
            "stood_in": self._stood_in,
        }

    async def drain(self) -> None:
        await self.stop_tasks()
        await self._chain.close()
        await self._shelf.close()

    async def _serve(self, versions: tuple[str, ...]) -> None:
        """One batch at a time: while it is scored the next one gathers. The lane ends where nothing waits any more."""
        settings, waiting = self.settings.policy, self._lanes[versions]
        while waiting:
            if sum(len(prompts) for prompts, *_ in waiting) < settings.batch_size:
                await asyncio.sleep(settings.batch_window)
            await self._score(versions, _batch(waiting, settings.batch_size))
        del self._lanes[versions]

    async def _score(self, versions: tuple[str, ...], taken: Sequence[_Waiting]) -> None:
        prompts = [prompt for prompts, *_ in taken for prompt in prompts]
        now = asyncio.get_running_loop().time
        begun = now()
        try:
            said = await self._said(versions, prompts)
        except EliasError as error:
            for _, future, _ in taken:
                if not future.done():
                    future.set_exception(error)
            return
        finally:
            self._stages["score"].observe(now() - begun)
            for *_, since in taken:
                self._stages["queue"].observe(begun - since)
        self._batches += 1
        self._scored += len(prompts)
        start = 0
        for mine, future, _ in taken:
            if not future.done():
                future.set_result(said[start : start + len(mine)])
            start += len(mine)

    async def _said(self, versions: tuple[str, ...], prompts: list[Prompt]) -> list[Said]:
        """The deadline is divided evenly among all that may be asked."""
        share = self.settings.policy.deadline / (len(versions) + 1)
        missing: list[str] = []
        for version in versions:
            try:
                scores = await self._shelf.score(version, prompts, share)
            except EliasError as error:
                missing.append(f"policy {version[:12]} cannot be asked: {error}")
            else:
                return [Said(version, "store", one, "; ".join(missing)) for one in scores]
        self._stood_in += bool(missing)
        answer = await self._chain.answer(prompts, share)
        return [Said(answer.policy, answer.engine, scores, "; ".join(missing)) for scores in answer.scores]


def _batch(waiting: list[_Waiting], most: int) -> list[_Waiting]:
    """Takes the next ones that fit together; the first, however many prompts it has."""
    taken: list[_Waiting] = []
    load = 0
    while waiting and (not taken or load + len(waiting[0][0]) <= most):
        taken.append(waiting.pop(0))
        load += len(taken[-1][0])
    return taken
