"""POST /v1/alertmanager: the webhook of Alertmanager (payload version 4), each of its alerts an event of `ufm.alert`.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

import base64
import binascii
import hashlib
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from federation.clock import SECOND
from federation.errors import Temporary
from federation.records import Event
from federation.replies import Rejected
from managers.uim import access
from managers.uim.access import needs
from managers.uim.api import context

PATH = "/v1/alertmanager"
SOURCE = "alertmanager"
ALERTS = 1000  # of one request
LABELS = 64
TOLD = 500  # characters of an annotation that are kept: what a page shows

router = APIRouter(tags=["events"])
_Name = Annotated[str, Field(max_length=200, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
_Labels = Annotated[dict[_Name, Annotated[str, Field(max_length=1000)]], Field(max_length=LABELS)]


class Alert(BaseModel):
    status: Literal["firing", "resolved"]
    labels: _Labels
    annotations: Annotated[dict[_Name, Annotated[str, Field(max_length=20_000)]], Field(max_length=LABELS)] = {}
    startsAt: datetime
    generatorURL: Annotated[str, Field(max_length=4000)] = ""
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]


class Payload(BaseModel):
    """truncatedAlerts: how many `max_alerts` of its configuration has cut off."""

    version: Literal["4"]
    alerts: Annotated[list[Alert], Field(max_length=ALERTS)]
    truncatedAlerts: int = 0


class Refusal(BaseModel):
    fingerprint: str
    code: str
    message: str


class Received(BaseModel):
    """decisions: of each alert in its order. Refused ones are not sent again by Alertmanager."""

    decisions: list[dict[str, Any]]
    refused: list[Refusal] = []


@router.post(PATH, summary="Alerts from Alertmanager", dependencies=[needs(access.Scope.EVENTS)])
async def receive(request: Request, payload: Payload) -> Received:
    """The answer waits for the ledger. While UFM is away it is 503, upon which Alertmanager sends again."""
    here = context.of(request)
    hour = here.clock.now() // (3600 * SECOND)
    results = await here.lanes.decide([event_of(alert, hour) for alert in payload.alerts])
    received = Received(decisions=[])
    for alert, result in zip(payload.alerts, results, strict=True):
        if not isinstance(result, Rejected):
            received.decisions += [msgspec.to_builtins(reply) for reply in result]
        elif result.status == 503:
            raise Temporary(result.message)
        else:
            refusal = Refusal(fingerprint=alert.fingerprint, code=result.code, message=result.message)
            received.refused.append(refusal)
    return received


def event_of(alert: Alert, hour: int) -> Event:
    """The id follows from what is told, so that a repeat, or the same from a second Alertmanager, is recognised; in
    another hour it is news that the alert still fires.
    """
    started = alert.startsAt.isoformat()
    data = {
        "status": alert.status,
        "fingerprint": alert.fingerprint,
        "labels": alert.labels,
        "annotations": {name: text[:TOLD] for name, text in alert.annotations.items()},
        "started": started,
        "link": alert.generatorURL,
    }
    digest = hashlib.sha256(msgspec.json.encode((hour, data), order="sorted")).hexdigest()[:32]
    return Event(digest, SOURCE, "elias.alert", subject_of(alert), started, data)


def subject_of(alert: Alert) -> str:
    """`NodeDown/gpu-4#3f9a1c0b`: read by people, and its own for each alert."""
    labels = alert.labels
    where = labels.get("node") or labels.get("instance") or labels.get("job") or ""
    name = f"{labels.get('alertname', 'alert')}/{where}".rstrip("/")
    return "".join(c for c in name if c.isprintable())[:200] + f"#{alert.fingerprint[:8]}"


class BasicAsBearer:
    """ASGI middleware for this path alone: who sends basic authentication has the token for a password.

    Nowhere else, and never asked for: a browser that remembered it would send it with the forms of any page.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            token = _password(Headers(scope=scope).get("authorization", ""))
            if token:
                scope = {**scope, "headers": list(scope["headers"])}
                MutableHeaders(scope=scope)["authorization"] = f"Bearer {token}"
        await self.app(scope, receive, send)


def _password(header: str) -> str:
    """Of basic authentication (RFC 7617); empty where there is none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        password = base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return password if password.isascii() and password.isprintable() else ""
