"""The engines that the settings ask for."""

import asyncio
from random import Random

from federation.clock import Clock
from federation.policy.chain import Chain
from federation.policy.embedded import Embedded
from federation.policy.tier import SHIPPED
from federation.policy.vllm import replicas
from federation.settings import PolicySettings


async def chain(settings: PolicySettings, clock: Clock) -> Chain:
    """The replicas, then the embedded policy. Raises Refused where a file is missing or damaged."""
    embedded = await asyncio.to_thread(Embedded, settings.folder or SHIPPED)
    servers = replicas(settings) if settings.engine == "vllm" else {}
    return Chain(servers, ("embedded", embedded), clock, Random())  # noqa: S311
