"""Sends one message over HTTP: the only place where UCM touches the world.

The envelope is CloudEvents 1.0 in binary mode; the signature that of Standard Webhooks (HMAC-SHA256 over id, time and
body). Only targets that the settings name are called, and no redirect is followed: a target cannot point elsewhere.
"""

import asyncio
import base64
import hashlib
import hmac
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from federation.clock import Clock
from federation.effects import Order
from federation.records import Event, Outcome
from federation.settings import Webhook

LONGEST_RETRY_AFTER = 86_400.0  # seconds; a target that asks for more is asked again after a day
CONNECTIONS = 256


class Outbound:
    """The doer of `message.deliver`. read: the event that sent a message, by the message's id."""

    def __init__(self, webhooks: Mapping[str, Webhook], read: Callable[[str], Awaitable[Event]], clock: Clock) -> None:
        self.webhooks, self.read, self.clock = webhooks, read, clock
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        self._client = httpx.AsyncClient(follow_redirects=False, timeout=None, limits=limits)  # noqa: S113 - see _send
        self._sending: dict[str, asyncio.Future[Outcome]] = {}

    async def close(self) -> None:
        await self._client.aclose()

    async def do(self, order: Order) -> Outcome:
        sending: asyncio.Future[Outcome] = asyncio.ensure_future(self._deliver(order))
        self._sending[order.decision] = sending
        try:
            return await sending
        finally:
            del self._sending[order.decision]

    async def probe(self, order: Order) -> Outcome:
        """An attempt that is still on its way is awaited; of an interrupted one nobody knows whether it arrived."""
        sending = self._sending.get(order.decision)
        if sending is not None:
            return await asyncio.shield(sending)
        return Outcome("unknown", "interrupted; it may have arrived", {"at": self.clock.now(), "failure": "lost"})

    async def _deliver(self, order: Order) -> Outcome:
        name, message = str(order.args["target"]), str(order.args["message"])
        hook = self.webhooks.get(name)
        if hook is None:
            return self._failed("rejected", f"the settings name no target `{name}` any more")
        secret = os.environ.get(hook.secret_env, "") if hook.secret_env else ""
        if hook.secret_env and not secret:
            return self._failed("unreachable", f"`{hook.secret_env}` is not set: the message cannot be signed")
        event = await self.read(message)
        body = msgspec.json.encode(event.data["body"])
        began = time.monotonic()
        try:
            async with asyncio.timeout(hook.timeout):
                response = await self._send(hook.url, _headers(message, event, order.args, body, secret), body)
        except TimeoutError:
            return self._failed("unreachable", f"no answer within {hook.timeout:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return self._failed("unreachable", f"{type(error).__name__} {error}".rstrip())
        return self._judged(response, time.monotonic() - began)

    async def _send(self, url: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        """The answer's head; what it says beside is of no interest."""
        async with self._client.stream("POST", url, headers=headers, content=body) as response:
            return response

    def _judged(self, response: httpx.Response, seconds: float) -> Outcome:
        status = response.status_code
        data: dict[str, Any] = {"at": self.clock.now(), "status": status, "seconds": round(seconds, 4)}
        if response.is_success:
            return Outcome("done", "", data, reward=1.0)
        data["failure"] = failure_of(status)
        after = retry_after(response.headers.get("retry-after"), time.time())
        if after is not None:
            data["retry_after"] = after
        return Outcome("failed", f"HTTP {status}", data, reward=0.0)

    def _failed(self, failure: str, detail: str) -> Outcome:
        return Outcome("failed", detail, {"at": self.clock.now(), "failure": failure}, reward=0.0)


def failure_of(status: int) -> str:
    """The kind of failure that an HTTP status means (RFC 9110, RFC 6585)."""
    if status in (408, 425, 429):
        return "throttled"
    return "server" if status >= 500 else "rejected"


def retry_after(header: str | None, now: float) -> float | None:
    """Seconds that a Retry-After header asks for, a number or a date (RFC 9110, 10.2.3); None without a sound one."""
    if header is None:
        return None
    if header.isdecimal():
        return min(float(header), LONGEST_RETRY_AFTER)
    try:
        seconds = parsedate_to_datetime(header).timestamp() - now
    except ValueError:
        return None
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER)


def signature(secret: str, message: str, at: int, body: bytes) -> str:
    """`v1,BASE64`. A secret that begins with `whsec_` is base64, any other is taken as it stands."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    signed = hmac.new(key, f"{message}.{at}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed.digest()).decode()}"


def _headers(message: str, event: Event, args: Mapping[str, Any], body: bytes, secret: str) -> dict[str, str]:
    at = int(time.time())
    headers = {
        "content-type": "application/json",
        "user-agent": "elias",
        "ce-specversion": "1.0",
        "ce-id": message,
        "ce-source": _value(event.source),
        "ce-type": _value(str(event.data.get("type", "elias.message"))),
        "idempotency-key": message,
        "webhook-id": message,
        "webhook-timestamp": str(at),
        "elias-attempt": str(args["attempt"]),
    }
    if event.subject:
        headers["ce-subject"] = _value(event.subject)
    if secret:
        headers["webhook-signature"] = signature(secret, message, at, body)
    return headers


def _value(text: str) -> str:
    """A header value as the HTTP binding of CloudEvents encodes it: what is not printable ASCII, percent-encoded."""
    return quote(text, safe="".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"%'))
