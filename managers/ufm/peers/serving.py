"""The listener for peers: its own port, TLS with certificates on both sides, three paths, and nothing else."""

import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from federation.errors import EliasError, Refused
from federation.peers import identity
from federation.peers.identity import Identity
from federation.peers.messages import LARGEST, Refusal
from federation.peers.sealing import Door, Seal
from managers.ufm.peers.line import answered, now

CONNECTIONS = 128  # at a time; more are told to come again

Answer = Callable[[Seal, str, bytes, int], Awaitable[msgspec.Struct]]


class _WithCertificate(HttpToolsProtocol):
    """Says with which certificate a connection was made: uvicorn does not."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        spoken = transport.get_extra_info("ssl_object")
        self.app_state = {**self.app_state, "certificate": spoken.getpeercert(binary_form=True) or b""}


class Listener:
    """The application: lets messages in by the door, has them answered, and signs the answers."""

    def __init__(self, mine: Identity, door: Door, answer: Answer) -> None:
        self._mine, self._door, self._answer = mine, door, answer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = str(scope["path"])
        seal: Seal | None = None
        try:
            body = await _body(scope, receive)
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            certificate, at = scope["state"]["certificate"], now()
            seal = self._door.check(scope["method"], path, headers, body, certificate, at)
            said, status = msgspec.json.encode(await self._answer(seal, path, body, at)), 200
        except Refused as error:
            said, status = msgspec.json.encode(Refusal(error.code, error.message, error.cure)), 403
        except EliasError as error:
            said, status = msgspec.json.encode(Refusal("unavailable", str(error))), 503
        signed = answered(self._mine.sign, self._door.name, seal, path, said) if seal else {}
        headers_out = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(said))]
        headers_out += [(name.encode(), value.encode()) for name, value in signed.items()]
        await send({"type": "http.response.start", "status": status, "headers": headers_out})
        await send({"type": "http.response.body", "body": said})


async def _body(scope: Any, receive: Any) -> bytes:
    """Raises Refused for one that is too long, before it is read to its end."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LARGEST:
            raise Refused("peer-size", f"a message has at most {LARGEST} bytes", cure="send less")
    return body


def server(mine: Identity, door: Door, answer: Answer) -> uvicorn.Server:
    config = uvicorn.Config(
        Listener(mine, door, answer),
        http=_WithCertificate,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=2,
    )
    config.load()
    config.ssl = identity.context(mine, ssl.Purpose.CLIENT_AUTH, door.known.values())
    return uvicorn.Server(config)
