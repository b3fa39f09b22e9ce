"""The policy as an actor is asked before it has started, as Ray allows: then whoever asks waits."""

import asyncio
from pathlib import Path

import msgspec

from federation.policy.question import Prompt
from federation.policy.tier import Said
from federation.runtime.policy import PolicyService
from federation.settings import Settings


async def test_a_question_that_comes_before_the_start_is_answered_after_it(tmp_path: Path) -> None:
    service = PolicyService(Settings(state=tmp_path))
    asked = asyncio.create_task(service.score(msgspec.msgpack.encode([Prompt("is it well?\nA yes\nB no\n", 2)])))
    looked = asyncio.create_task(service.health())
    await asyncio.sleep(0)
    assert not asked.done()
    await service.start()
    (said,) = msgspec.msgpack.decode(await asked, type=list[Said])
    assert (said.engine, len(said.scores)) == ("embedded", 2)
    assert (await looked)["lost"] == 0
    await service.drain()
