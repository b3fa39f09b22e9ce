"""Queries to Prometheus, by its HTTP API v1: the only place where ELIAS speaks with it.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import Mapping

import httpx
import msgspec

from federation.errors import Refused, Temporary
from federation.targets import Prometheus
from managers.ufm.prometheus.facts import queries
from managers.ufm.prometheus.picture import Picture, Samples, host_of, picture

MOST = 32 << 20  # bytes of an answer: some 100,000 series
SERIES = 50_000  # of one answer
AT_ONCE = 4  # queries


class Declined(Temporary):
    """Prometheus does not answer this query, and may answer others."""


class _Series(msgspec.Struct, frozen=True):
    metric: dict[str, str]
    value: tuple[float, str]


class _Data(msgspec.Struct, frozen=True):
    """result: series of a vector; anything else is no answer about nodes."""

    resultType: str
    result: msgspec.Raw


class _Answer(msgspec.Struct, frozen=True):
    status: str
    data: _Data | None = None
    error: str = ""


_answer = msgspec.json.Decoder(_Answer)
_vector = msgspec.json.Decoder(tuple[_Series, ...])


class Server:
    def __init__(self, settings: Prometheus) -> None:
        self.settings = settings

    async def look(self) -> Picture:
        """Raises Temporary where Prometheus cannot be asked."""
        settings = self.settings
        try:
            asked, secret = queries(settings), settings.secret()
        except Refused as error:
            raise Temporary(str(error)) from None
        login = httpx.BasicAuth(settings.user, secret) if settings.user else None
        headers = {"authorization": f"Bearer {secret}"} if secret and not settings.user else {}
        async with httpx.AsyncClient(auth=login, headers=headers, verify=self._trust(), timeout=None) as client:  # noqa: S113
            failed = dict[str, str]()
            up, ages, at = await self._targets(client)
            answers = await self._all(client, asked, at, failed)
            signs = await self._all(client, settings.signs, at, failed)
        nodes = await asyncio.to_thread(picture, answers, signs, up, ages, settings.max_age)
        return Picture(nodes, failed)

    async def _targets(self, client: httpx.AsyncClient) -> tuple[Samples, Samples, float | None]:
        """Whether each was scraped, how many seconds ago, and the time of this look, all by the clock of Prometheus."""
        states = _read(*await self._post(client, self.settings.targets))
        at = states[0].value[0] if states else None
        when = await self._query(client, f"timestamp({self.settings.targets})", at, ages=True)
        return self._samples(states), when, at

    async def _all(
        self, client: httpx.AsyncClient, asked: Mapping[str, str], at: float | None, failed: dict[str, str]
    ) -> dict[str, Samples | None]:
        """What Prometheus says to each, all at one time; None where it says nothing, and then why."""
        few = asyncio.Semaphore(AT_ONCE)

        async def one(name: str, query: str) -> Samples | None:
            async with few:
                try:
                    return await self._query(client, query, at)
                except Declined as error:
                    failed[name] = str(error)
                    return None

        return dict(zip(asked, await asyncio.gather(*(one(*item) for item in asked.items())), strict=True))

    async def _query(self, client: httpx.AsyncClient, query: str, at: float | None, *, ages: bool = False) -> Samples:
        return self._samples(_read(*await self._post(client, query, at)), ages=ages)

    def _samples(self, many: tuple[_Series, ...], *, ages: bool = False) -> Samples:
        """ages: the values are times, and what is wanted is how long ago they were."""
        found: dict[str, list[float]] = defaultdict(list)
        for series in many:
            value = series.metric.get(self.settings.label)
            if value:
                number = _number(series.value[1])
                found[host_of(value, self.settings.names)].append(series.value[0] - number if ages else number)
        return {host: tuple(numbers) for host, numbers in found.items()}

    async def _post(self, client: httpx.AsyncClient, query: str, at: float | None = None) -> tuple[int, bytes]:
        url, seconds = self.settings.url.rstrip("/") + "/api/v1/query", self.settings.timeout
        form = {"query": query, "timeout": f"{seconds:g}s"} | ({} if at is None else {"time": f"{at:.3f}"})
        said = bytearray()
        try:
            async with asyncio.timeout(seconds), client.stream("POST", url, data=form) as answer:
                async for part in answer.aiter_bytes():
                    said += part
                    if len(said) > MOST:
                        raise Declined(f"its answer is more than {MOST >> 20} MiB")
                return answer.status_code, bytes(said)
        except TimeoutError:
            raise Declined(f"no answer within {seconds:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Temporary(f"it cannot be reached: {error or type(error).__name__}") from None

    def _trust(self) -> ssl.SSLContext | bool:
        if self.settings.ca_file is None:
            return True
        try:
            return ssl.create_default_context(cafile=str(self.settings.ca_file))
        except OSError as error:
            raise Temporary(f"{self.settings.ca_file} cannot be used: {error.strerror or error}") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Declined(f"`{text[:40]}` is no number") from None


def _read(code: int, text: bytes) -> tuple[_Series, ...]:
    """The series of an answer. Raises Declined for a query that is wrong or too large, Temporary for what is no answer
    of Prometheus."""
    if code in (401, 403):
        raise Temporary(f"it does not let ELIAS ask (HTTP {code})")
    try:
        answer = _answer.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Temporary(f"what answers is no Prometheus, or is not ready (HTTP {code})") from None
    if answer.status != "success" or answer.data is None:
        raise Declined(answer.error[:300] or f"HTTP {code}")
    if answer.data.resultType != "vector":
        raise Declined(f"its answer is a {answer.data.resultType}, and not series of nodes")
    try:
        found = _vector.decode(answer.data.result)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Declined(f"its answer cannot be read: {error}") from None
    if len(found) > SERIES:
        raise Declined(f"its answer has more than {SERIES} series")
    return found
