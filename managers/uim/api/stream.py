"""GET /v1/stream: what changed, as Server-Sent Events (HTML Standard, 9.2).

An event says which parts of the federation have news, not the news: whoever shows them asks again for what it shows.
Its id is the number of the newest record that it covers, so a client that was cut off names the last one it saw and is
told at once whether it missed something. Between records a `pulse` tells the ledger time, so that silence is noticed.

One reader of the log serves all clients, four times a second at most, while there is one. A client that does not take
its events has them merged into one: it never makes another wait, and never believes that it is up to date when it is
not.
"""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from federation.clock import Clock
from federation.errors import Refused, Temporary
from managers.uim.access import Scope, needs
from managers.uim.api import context
from managers.uim.api.feed import Feed

router = APIRouter(prefix="/v1", tags=["stream"])

PULSE = 5.0  # seconds of silence after which a pulse is sent
CLIENTS = 256  # at once; the next one is told to come again
RETRY = 2000  # ms after which a browser comes again


@router.get(
    "/stream",
    summary="What changed, as Server-Sent Events",
    dependencies=[needs(Scope.READ)],
    response_class=StreamingResponse,
)
async def stream(request: Request, after: int = 0) -> StreamingResponse:
    here = context.of(request)
    if len(here.feed) >= CLIENTS:
        raise Temporary(f"{CLIENTS} streams are open already")
    seen = _number(request.headers.get("last-event-id", "")) or after
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(_events(here.feed, here.clock, seen), media_type="text/event-stream", headers=headers)


async def _events(feed: Feed, clock: Clock, seen: int) -> AsyncIterator[bytes]:
    with feed.client() as client:
        client.tell(await feed.since(seen))
        yield f"retry: {RETRY}\n\n".encode()
        while not feed.closed:
            change = await client.next(PULSE)
            if change is None:
                yield _event("pulse", None, {"now": clock.now() // 1_000_000, "seq": feed.seq})
            elif change.topics or change.all:
                told = {"topics": sorted(change.topics), "all": change.all, "now": clock.now() // 1_000_000}
                yield _event("change", change.seq, told)


def _event(name: str, id: int | None, data: dict[str, Any]) -> bytes:
    numbered = b"" if id is None else b"id: %d\n" % id
    return numbered + b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


def _number(text: str) -> int:
    """Raises Refused."""
    if not text:
        return 0
    if not (text.isdecimal() and text.isascii() and len(text) < 19):
        raise Refused("bad-id", f"`{text[:40]}` is not the id of an event", place="Last-Event-ID", cure="send none")
    return int(text)
