"""The policy as an actor: the engines, asked about many decisions at once.

Managers ask it over a socket. What arrives within a few milliseconds is scored together, for a pass over 16 prompts
costs an engine little more than a pass over one.
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
        self._waiting: list[_Waiting] = []
        self._woken = asyncio.Event()
        self._batches = self._scored = 0
        self._stages = {stage: Histogram(SECONDS) for stage in ("queue", "score")}

    async def start(self) -> None:
        self._chain = await chain(self.settings.policy, SystemClock())
        await self.listen({"score": self.score})
        self.settle_memory()
        self.spawn(self._score_loop())

    async def score(self, raw: bytes) -> bytes:
        """Score prompts (msgpack list of Prompt); msgpack list of Said. Temporary: no engine answered in time."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Said]] = loop.create_future()
        self._waiting.append((_prompts.decode(raw), future, loop.time()))
        self._woken.set()
        return _packed.encode(await future)

    async def health(self) -> dict[str, Any]:
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
        }

    async def drain(self) -> None:
        await self.stop_tasks()
        await self._chain.close()

    async def _score_loop(self) -> None:
        """One batch at a time: while it is scored the next one gathers."""
        settings = self.settings.policy
        while True:
            await self._woken.wait()
            if sum(len(prompts) for prompts, *_ in self._waiting) < settings.batch_size:
                await asyncio.sleep(settings.batch_window)
            self._woken.clear()
            taken: list[_Waiting] = []
            load = 0
            while self._waiting and (not taken or load + len(self._waiting[0][0]) <= settings.batch_size):
                taken.append(self._waiting.pop(0))
                load += len(taken[-1][0])
            if self._waiting:
                self._woken.set()
            await self._score(taken)

    async def _score(self, taken: Sequence[_Waiting]) -> None:
        prompts = [prompt for prompts, *_ in taken for prompt in prompts]
        now = asyncio.get_running_loop().time
        begun = now()
        try:
            answer = await self._chain.answer(prompts, self.settings.policy.deadline)
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
        said = [Said(answer.policy, answer.engine, scores) for scores in answer.scores]
        start = 0
        for mine, future, _ in taken:
            if not future.done():
                future.set_result(said[start : start + len(mine)])
            start += len(mine)
