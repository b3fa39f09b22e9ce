"""A webhook: CloudEvents 1.0 in binary mode, with the signature of Standard Webhooks (HMAC-SHA256 over id, time and
body).
"""

import base64
import hashlib
import hmac
import time
from urllib.parse import quote

import httpx
import msgspec

from federation.targets import Webhook
from managers.ucm.channels import http
from managers.ucm.channels.delivery import Delivery, Reply


async def send(client: httpx.AsyncClient, target: Webhook, delivery: Delivery) -> Reply:
    """Raises Refused without its secret."""
    secret, body = target.secret(), msgspec.json.encode(delivery.body)
    reply, _ = await http.post(client, target.url, _headers(delivery, body, secret), body)
    return reply


def signature(secret: str, message: str, at: int, body: bytes) -> str:
    """`v1,BASE64`. A secret that begins with `whsec_` is base64, any other is taken as it stands."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    signed = hmac.new(key, f"{message}.{at}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed.digest()).decode()}"


def _headers(delivery: Delivery, body: bytes, secret: str) -> dict[str, str]:
    event, at = delivery.event, int(time.time())
    headers = {
        "content-type": "application/json",
        "user-agent": "elias",
        "ce-specversion": "1.0",
        "ce-id": delivery.id,
        "ce-source": _value(event.source),
        "ce-type": _value(str(event.data.get("type", "elias.message"))),
        "idempotency-key": delivery.id,
        "webhook-id": delivery.id,
        "webhook-timestamp": str(at),
        "elias-attempt": str(delivery.attempt),
    }
    if event.subject:
        headers["ce-subject"] = _value(event.subject)
    if secret:
        headers["webhook-signature"] = signature(secret, delivery.id, at, body)
    return headers


def _value(text: str) -> str:
    """A header value as the HTTP binding of CloudEvents encodes it: what is not printable ASCII, percent-encoded."""
    return quote(text, safe="".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"%'))
