"""Engines of the policies in the store: loaded when they are first asked, a few in memory at a time."""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from federation.clock import Clock
from federation.errors import Refused, Temporary
from federation.policy import artefacts, card
from federation.policy.chain import Chain
from federation.policy.embedded import Embedded
from federation.policy.question import Engine, Prompt, Scores
from federation.policy.vllm import Vllm, read_key
from federation.settings import Settings

REST = 30.0
"""Seconds for which one that cannot be loaded is left alone: to find that out reads all of its files."""


class _Broken(NamedTuple):
    """until: of the monotonic clock, seconds."""

    until: float
    error: Refused


class Shelf:
    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._loaded: OrderedDict[str, Engine] = OrderedDict()
        self._broken: dict[str, _Broken] = {}
        self._loading: dict[str, asyncio.Future[Engine]] = {}
        self._busy = Counter[str]()

    @property
    def versions(self) -> list[str]:
        """In memory, the one longest unused first."""
        return list(self._loaded)

    async def score(self, version: str, prompts: Sequence[Prompt], deadline: float) -> list[Scores]:
        """See `Engine`. Raises also Refused: it is not in the store, not what was registered there, or not signed where
        it has to be."""
        try:
            async with asyncio.timeout(deadline):
                self._busy[version] += 1  # while it is loaded, too: else another one's loading may close it at once
                try:
                    engine = self._loaded.get(version) or await self._fetched(version)
                    self._loaded.move_to_end(version)
                    return await engine.score(prompts, deadline)
                finally:
                    self._busy[version] -= 1
        except TimeoutError:
            raise Temporary(f"no answer within {deadline:.3g} s") from None

    async def _fetched(self, version: str) -> Engine:
        """Loaded, whoever waits for it: a deadline that is too short for that is met the next time."""
        loading = self._loading.get(version)
        if loading is None:
            loading = self._loading[version] = asyncio.ensure_future(self._load(version))
            loading.add_done_callback(lambda done: self._fetched_or_not(version, done))
        return await asyncio.shield(loading)

    def _fetched_or_not(self, version: str, done: "asyncio.Future[Engine]") -> None:
        del self._loading[version]
        if not done.cancelled():
            done.exception()  # looked at, for nobody may wait any more; the next one is told by `_broken`

    async def _load(self, version: str) -> Engine:
        broken = self._broken.get(version)
        if broken is not None and time.monotonic() < broken.until:
            raise broken.error
        try:
            engine = await asyncio.to_thread(self._made, version)
        except Refused as error:
            self._broken[version] = _Broken(time.monotonic() + REST, error)
            raise
        self._broken.pop(version, None)
        self._loaded[version] = engine
        idle = [one for one in self._loaded if not self._busy[one] and one != version]
        for one in idle[: max(0, len(self._loaded) - self._settings.policy.kept)]:
            await self._loaded.pop(one).close()
        return engine

    def _made(self, version: str) -> Engine:
        policy, bundles = self._settings.policy, self._settings.bundles
        found = artefacts.load(self._settings.state, version, trust=bundles.trust, require=policy.require_signature)
        if sorted(found.card.files) != sorted(card.ADAPTER):
            return Embedded(found.folder)
        if policy.engine != "vllm":
            cure = "set `policy.engine: vllm` with replicas that serve its base model; docs/policy/vllm.md says how"
            raise Refused("adapter", f"policy {version[:12]} is an adapter, which vLLM serves", cure=cure)
        key = read_key(policy.key_file) if policy.key_file else ""
        servers = {url: Vllm(url, version, adapter=str(found.folder), key=key) for url in policy.replicas}
        return Chain(servers, None, self._clock, Random())  # noqa: S311 - spreads retries

    async def close(self) -> None:
        for loading in list(self._loading.values()):
            loading.cancel()
        for engine in self._loaded.values():
            await engine.close()
