"""What changed, as it reaches whoever listens."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from managers.uim.api import stream
from managers.uim.api.feed import Change, Client, Feed

from .conftest import House, event


def _events(lines: Iterator[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(event, id, data) of a stream."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "event" in fields:
            yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
            fields = {}


def _post(client: httpx.Client, id: str) -> None:
    assert client.post("/v1/events", json=event(id, data={"load": 97})).status_code == 200


def test_whoever_listens_is_told_what_a_decision_was_about(client: httpx.Client, house: House) -> None:
    with house.client() as listener, listener.stream("GET", f"/v1/stream?after={house.store.head().size}") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = _events(answer.iter_lines())
        _post(client, "1")
        _, id, data = next(e for e in events if e[0] == "change")
        assert "decisions" in data["topics"]
        assert not data["all"]
        assert 0 < int(id) <= house.store.head().size


@pytest.mark.parametrize("by", ["header", "query"])
def test_whoever_was_cut_off_is_told_at_once_what_it_missed(client: httpx.Client, house: House, by: str) -> None:
    seen = house.store.head().size
    _post(client, "1")
    headers = {"Last-Event-ID": str(seen)} if by == "header" else {}
    path = "/v1/stream" if by == "header" else f"/v1/stream?after={seen}"
    with house.client() as listener, listener.stream("GET", path, headers=headers) as answer:
        _, id, data = next(_events(answer.iter_lines()))
    assert (int(id), data["all"]) == (house.store.head().size, False)
    assert "decisions" in data["topics"]


@pytest.mark.parametrize("seen", ["0", "999999"])
def test_whoever_is_new_or_comes_from_another_ledger_is_told_to_look_at_everything(house: House, seen: str) -> None:
    with house.client() as listener, listener.stream("GET", f"/v1/stream?after={seen}") as answer:
        _, _, data = next(_events(answer.iter_lines()))
    assert data["all"]


def test_an_id_that_is_none_is_refused(client: httpx.Client) -> None:
    answer = client.get("/v1/stream", headers={"Last-Event-ID": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad-id")


def test_silence_is_told_apart_from_a_broken_line(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PULSE", 0.05)
    with house.client() as listener, listener.stream("GET", "/v1/stream") as answer:
        pulse = next(data for name, _, data in _events(answer.iter_lines()) if name == "pulse")
    assert pulse["now"] == house.clock.now() // 1_000_000


def test_one_client_too_many_is_told_to_come_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CLIENTS", 1)
    with house.client() as listener, listener.stream("GET", "/v1/stream") as answer:
        events = _events(answer.iter_lines())
        next(events)
        refused = listener.get("/v1/stream")
    assert refused.status_code == 503
    assert refused.headers["retry-after"]


async def test_a_client_that_takes_nothing_is_owed_one_change_and_misses_nothing() -> None:
    client = Client()
    for seq in range(1, 10_001):
        client.tell(Change(seq, frozenset({"cases" if seq % 2 else "decisions"})))
    assert await client.next(1.0) == Change(10_000, frozenset({"cases", "decisions"}))
    assert await client.next(0.01) is None


@asynccontextmanager
async def _listening(feed: Feed) -> AsyncIterator[Client]:
    with feed.client() as client:
        client.tell(await feed.since(0))
        await client.next(10.0)
        yield client


async def test_a_slow_client_holds_up_nobody(house: House) -> None:
    feed = Feed(house.store)
    async with _listening(feed) as slow, _listening(feed) as quick:
        for number in range(3):
            await asyncio.to_thread(house.federation.appender.tick)
            await asyncio.to_thread(house.federation.post, [_event(number)])
            change = await quick.next(30.0)
            assert change is not None
            assert "decisions" in change.topics
        owed = await slow.next(30.0)
        assert owed is not None
        assert owed.seq == house.store.head().size


async def test_when_the_server_stops_every_stream_ends(house: House) -> None:
    feed = Feed(house.store)
    told = [part async for part in _until_closed(feed, house)]
    assert told[0].startswith(b"retry: ")


async def _until_closed(feed: Feed, house: House) -> AsyncIterator[bytes]:
    async for part in stream._events(feed, house.clock, 0):
        yield part
        if part.startswith(b"id: "):
            feed.close()


def _event(number: int) -> Any:
    from federation.records import Event

    return Event(f"s{number}", "tests", "test.load", "n1", None, {"load": 97})
