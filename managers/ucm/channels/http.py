"""One POST, and what its answer means."""

import time
from email.utils import parsedate_to_datetime

import httpx

from managers.ucm.channels.delivery import REFUSED, SERVER, THROTTLED, UNREACHABLE, Reply

LONGEST_RETRY_AFTER = 86_400.0  # seconds; a target that asks for more is asked again after a day
CONNECTIONS = 256
TOLD = 200  # bytes of an answer that are read, where they are of interest


def client() -> httpx.AsyncClient:
    """No redirect is followed: a target cannot point elsewhere. The time-out is that of the whole attempt."""
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    return httpx.AsyncClient(follow_redirects=False, timeout=None, limits=limits)  # noqa: S113


async def post(client: httpx.AsyncClient, url: str, headers: dict[str, str], body: bytes) -> tuple[Reply, str]:
    """What the answer means, and how it begins."""
    try:
        async with client.stream("POST", url, headers=headers, content=body) as response:
            return reply_of(response), "" if response.is_success else await _told(response)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        # Without its words: they may name the address, and that of a chat is a secret.
        return Reply(UNREACHABLE, type(error).__name__), ""


def reply_of(response: httpx.Response) -> Reply:
    status = response.status_code
    if response.is_success:
        return Reply(status=status)
    after = retry_after(response.headers.get("retry-after"), time.time())
    return Reply(failure_of(status), f"HTTP {status}", status, after)


async def _told(response: httpx.Response) -> str:
    async for chunk in response.aiter_bytes(TOLD):
        return chunk.decode(errors="replace")
    return ""


def failure_of(status: int) -> str:
    """The kind of failure that an HTTP status means (RFC 9110, RFC 6585)."""
    if status in (408, 425, 429):
        return THROTTLED
    return SERVER if status >= 500 else REFUSED


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
