"""The engines that the settings ask for."""

import asyncio
from random import Random

from federation.clock import Clock
from federation.policy.chain import Chain
from federation.policy.embedded import Embedded
from federation.policy.tier import SHIPPED
from federation.policy.vllm import Vllm
from federation.settings import PolicySettings


async def chain(settings: PolicySettings, clock: Clock) -> Chain:
    """The replicas, then the embedded policy. Raises Refused where a file is missing or damaged."""
    embedded = await asyncio.to_thread(Embedded, settings.folder or SHIPPED)
    key = settings.key_file.read_text().strip() if settings.key_file else ""
    replicas = {url: Vllm(url, settings.model, adapter=settings.adapter, key=key) for url in settings.replicas}
    return Chain(replicas if settings.engine == "vllm" else {}, ("embedded", embedded), clock, Random())  # noqa: S311
