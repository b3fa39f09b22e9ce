"""Silences in Alertmanager, by its API v2: made with an end, found again by the decision that they carry, expired.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from federation.clock import SECOND, Clock
from federation.effects import Doer, Order
from federation.records import Outcome
from federation.targets import Alertmanager

LARGEST = 16 << 20  # bytes of an answer: some 30,000 silences


class Silences:
    """Speaks to one Alertmanager; a cluster of them shares what one of them knows."""

    def __init__(self, settings: Alertmanager, clock: Clock) -> None:
        self.settings, self.clock = settings, clock

    async def create(self, order: Order) -> Outcome:
        """Of exactly the alert's labels, from now on for the seconds that the order says."""
        began = time.time()
        ends = began + float(order.args["duration"])
        silence = {
            "matchers": [
                {"name": name, "value": value, "isRegex": False, "isEqual": True}
                for name, value in sorted(order.payload["labels"].items())
            ],
            "startsAt": _rfc3339(began),
            "endsAt": _rfc3339(ends),
            "createdBy": "ELIAS",
            "comment": _comment(order),
        }
        made = await self._call("POST", "/api/v2/silences", silence)
        return self._stands(str(made["silenceID"]), float(order.args["duration"]))

    async def expire(self, order: Order) -> Outcome:
        await self._call("DELETE", f"/api/v2/silence/{order.args['silence']}")
        return Outcome("done", "the silence has ended", {"at": self.clock.now()}, reward=1.0)

    async def find(self, order: Order) -> Outcome:
        """Whether an interrupted `create` has made one: it carries the decision's id."""
        for silence in await self._call("GET", "/api/v2/silences"):
            if silence["comment"] == _comment(order) and silence["status"]["state"] != "expired":
                left = datetime.fromisoformat(silence["endsAt"]).timestamp() - time.time()
                return self._stands(silence["id"], left)
        return Outcome("failed", "interrupted before it was made", {"at": self.clock.now()}, reward=0.0)

    async def find_expired(self, order: Order) -> Outcome:
        """Whether an interrupted `expire` has ended it; one that is gone has ended, too."""
        silences = await self._call("GET", "/api/v2/silences")
        states = {silence["id"]: silence["status"]["state"] for silence in silences}
        if states.get(str(order.args["silence"]), "expired") == "expired":
            return Outcome("done", "found so after an interruption", {"at": self.clock.now()}, reward=1.0)
        return Outcome("failed", "interrupted before it ended", {"at": self.clock.now()}, reward=0.0)

    def _stands(self, id_: str, seconds: float) -> Outcome:
        now = self.clock.now()
        data = {"at": now, "silence": id_, "until": now + round(seconds * SECOND)}
        return Outcome("done", f"silence {id_}", data, reward=1.0)

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        """Raises httpx.HTTPError, which the executor records as a failure; Refused without its secret."""
        settings = self.settings
        user, secret = settings.user, settings.secret()
        headers = {"authorization": f"Bearer {secret}"} if secret and not user else {}
        login = httpx.BasicAuth(user, secret) if user else None
        async with httpx.AsyncClient(timeout=settings.timeout, auth=login, headers=headers) as client:
            async with client.stream(method, settings.url.rstrip("/") + path, json=body) as answer:
                answer.raise_for_status()
                said = bytearray()
                async for part in answer.aiter_bytes():
                    said += part
                    if len(said) > LARGEST:
                        raise httpx.DecodingError(f"an answer of more than {LARGEST} bytes", request=answer.request)
            return json.loads(said) if said else None


class _Create:
    def __init__(self, silences: Silences) -> None:
        self._silences = silences

    async def do(self, order: Order) -> Outcome:
        return await self._silences.create(order)

    async def probe(self, order: Order) -> Outcome:
        return await self._silences.find(order)


class _Expire:
    def __init__(self, silences: Silences) -> None:
        self._silences = silences

    async def do(self, order: Order) -> Outcome:
        return await self._silences.expire(order)

    async def probe(self, order: Order) -> Outcome:
        return await self._silences.find_expired(order)


def doers(settings: Alertmanager, clock: Clock) -> Mapping[str, Doer]:
    """By the names that the effects of `ufm.alert` give; none without an Alertmanager."""
    if not settings.url:
        return {}
    silences = Silences(settings, clock)
    return {"alert.silence": _Create(silences), "alert.unsilence": _Expire(silences)}


def _comment(order: Order) -> str:
    return f"ELIAS decision {order.decision}"


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
