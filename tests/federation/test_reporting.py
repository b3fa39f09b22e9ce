"""The relay of the head's agent: what nodes sent reaches every listener, bundled and in order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from federation.errors import Temporary
from federation.runtime import direct, reporting, worker
from federation.runtime.reporting import Relay, unpacked
from federation.runtime.service import actor_name


class Host:
    """An actor around a relay."""

    log = logging.getLogger("elias.test")

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        self.tasks.append(asyncio.create_task(work))
        return self.tasks[-1]


class Ear:
    """Somebody who listens, and is restarted for the first `away` calls."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.heard: list[list[int]] = []
        self.all = asyncio.Event()

    async def hear(self, messages: list[bytes]) -> None:
        if self.away:
            self.away -= 1
            raise Temporary("away")
        self.heard.append([report["number"] for report in unpacked(messages)])
        if self.heard[-1][-1] == LAST:
            self.all.set()


LAST = 99


@pytest.fixture
async def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    monkeypatch.setenv(worker.FOLDER, str(tmp_path))
    monkeypatch.setattr(reporting, "_heads", lambda before: ["10.0.0.1:6380"])
    host = Host()
    yield host
    for task in host.tasks:
        task.cancel()
    await asyncio.gather(*host.tasks, return_exceptions=True)


@pytest.fixture
async def relay(host: Host) -> Relay:
    return Relay(host, interval=60.0)


async def told(relay: Relay, **ears: Ear) -> None:
    """A hundred reports of nodes, and the last one heard by all."""
    async with AsyncExitStack() as stack:
        for name, ear in ears.items():
            listener = await direct.Listener.open(actor_name(name), {"hear": ear.hear})
            assert listener is not None
            stack.push_async_callback(listener.close)
        for number in range(LAST + 1):
            last = relay.take(msgspec.msgpack.encode([list(ears), msgspec.msgpack.encode([{"number": number}])]))
            await asyncio.sleep(0)
        await asyncio.gather(*(ear.all.wait() for ear in ears.values()))
    assert msgspec.msgpack.decode(last) == ["10.0.0.1:6380"]


async def test_everybody_hears_everything_in_order_and_in_few_bundles(relay: Relay) -> None:
    one, other = Ear(), Ear()
    await told(relay, one=one, other=other)
    for ear in (one, other):
        assert [number for bundle in ear.heard for number in bundle] == list(range(LAST + 1))
        assert len(ear.heard) < LAST / 10


async def test_who_is_being_restarted_hears_it_afterwards_and_keeps_nobody_waiting(relay: Relay) -> None:
    here, away = Ear(), Ear(away=3)
    await told(relay, here=here, away=away)
    assert [number for bundle in away.heard for number in bundle] == list(range(LAST + 1))
    assert away.away == 0


class Slow(Ear):
    """Takes its time over each bundle: until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.busy = self.most = 0

    async def hear(self, messages: list[bytes]) -> None:
        self.busy += 1
        self.most = max(self.most, self.busy)
        self.begun.set()
        await self.go_on.wait()
        await super().hear(messages)
        self.busy -= 1


def say(relay: Relay, number: int) -> None:
    relay.take(msgspec.msgpack.encode([["ear"], msgspec.msgpack.encode([{"number": number}])]))


@asynccontextmanager
async def listening(ear: Ear) -> AsyncIterator[None]:
    listener = await direct.Listener.open(actor_name("ear"), {"hear": ear.hear})
    assert listener is not None
    yield
    await listener.close()


async def test_what_comes_before_a_bundle_was_heard_is_of_the_next_one(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "HEARD", 0.0)  # to be slow is not to be away
    monkeypatch.setattr(reporting, "BUNDLE", 0.0)
    ear = Slow()
    async with listening(ear):
        say(relay, 0)
        await ear.begun.wait()
        for number in range(1, LAST + 1):
            say(relay, number)
            await asyncio.sleep(0)
        ear.go_on.set()
        await ear.all.wait()
    assert (ear.heard, ear.most) == ([[0], list(range(1, LAST + 1))], 1)


async def test_who_does_not_take_a_bundle_is_sent_it_with_the_newer_ones_ever_less_often(host: Host) -> None:
    ear, pauses = Ear(away=6), list[float]()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        say(relay, len(pauses))
        await asyncio.sleep(0)

    relay = Relay(host, 60.0, sleep)
    async with listening(ear):
        say(relay, 0)
        while not ear.heard:
            await asyncio.sleep(0)
        host.tasks[-1].cancel()
    assert ear.heard[0] == list(range(8))
    assert pauses[:7] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


async def test_what_is_too_old_is_not_sent_again(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "HEARD", 0.0)
    ear = Ear(away=1)
    async with listening(ear):
        say(relay, 0)
        while ear.away:
            await asyncio.sleep(0)
        say(relay, LAST)
        await ear.all.wait()
    assert ear.heard == [[LAST]]


async def test_of_more_than_can_wait_the_oldest_go(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "KEPT", 10)
    ear = Ear()
    await told(relay, ear=ear)
    assert ear.heard[-1][-10:] == list(range(LAST - 9, LAST + 1))
    assert sum(map(len, ear.heard)) <= 20


def test_of_a_nodes_figures_the_newest_counts_and_what_is_no_message_is_left_out() -> None:
    pack = msgspec.msgpack.encode
    first, second = {"node": "a", "measured": 1.0}, {"node": "a", "measured": 2.0}
    foreign = {"node": "a", "slurm": {}}
    heard = unpacked([pack([first, foreign]), b"\xc1 no message", pack([second, foreign])])
    assert heard == [foreign, second, foreign]
