"""The way to a peer: one signed message, one signed answer, over TLS on both sides."""

import secrets
import ssl
import time
from typing import TypeVar

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.errors import Refused, Temporary
from federation.peers import identity, sealing
from federation.peers.identity import Identity
from federation.peers.messages import LARGEST, Refusal
from federation.peers.sealing import ANSWER, Door, Known, Seal
from federation.peers.settings import Peer

PATIENCE = 10.0  # seconds for an answer

T = TypeVar("T")

_refusal = msgspec.json.Decoder(Refusal)


class Unsent(Temporary):
    """There was no connection: the peer has not heard the message."""


class Line:
    """To one peer. door: checks that answers are its own."""

    def __init__(self, name: str, peer: Peer, known: Known, mine: Identity, door: Door) -> None:
        self.name, self._key, self._door = name, mine.sign, door
        self._client = httpx.AsyncClient(
            base_url=peer.url,
            verify=identity.context(mine, ssl.Purpose.SERVER_AUTH, [known]),
            timeout=PATIENCE,
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, path: str, message: msgspec.Struct, answer: type[T], hops: tuple[str, ...] = ()) -> T:
        """hops: the clusters that the message comes by, before this one.

        Raises Refused where the peer says that it does not take it, Unsent where it has not heard it, and Temporary
        where nobody knows.
        """
        body, name = msgspec.json.encode(message), self._door.name
        seal = Seal(name, self.name, secrets.token_hex(16), now(), (*hops, name))
        headers = sealing.sign(self._key, seal, "POST", path, body)
        status, told, said = await self._post(path, body, headers)
        try:
            self._door.check_answer(seal, path, told, said, now())
        except Refused as error:
            raise Temporary(f"{self.name} does not answer us as a peer: {_why(said) or error.message}") from None
        try:
            if status == 200:
                return msgspec.json.decode(said, type=answer)
            refusal = _refusal.decode(said)
        except msgspec.DecodeError as error:
            raise Temporary(f"{self.name} answered what makes no sense: {error}") from None
        if status >= 500:
            raise Temporary(f"{self.name} cannot tell now: {refusal.message}")
        raise Refused(refusal.code, refusal.message, place=self.name, cure=refusal.cure)

    async def _post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, httpx.Headers, bytes]:
        try:
            async with self._client.stream("POST", path, content=body, headers=headers) as response:
                said = b""
                async for part in response.aiter_bytes():
                    said += part
                    if len(said) > LARGEST:
                        raise Temporary(f"the answer of {self.name} is too long")
                return response.status_code, response.headers, said
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unsent(f"{self.name} was not reached ({error or type(error).__name__})") from None
        except (httpx.HTTPError, OSError) as error:
            raise Temporary(f"{self.name} did not answer ({type(error).__name__})") from None


def _why(said: bytes) -> str:
    """Whoever is not let in is answered without a signature."""
    try:
        refusal = _refusal.decode(said)
    except msgspec.DecodeError:
        return ""
    return f"{refusal.message} ({refusal.cure})"


def now() -> int:
    """ms since 1970, by the clock of this machine: what two clusters have in common."""
    return time.time_ns() // 1_000_000


def answered(key: Ed25519PrivateKey, name: str, asked: Seal, path: str, body: bytes) -> dict[str, str]:
    """The headers of an answer."""
    return sealing.sign(key, Seal(name, asked.sender, asked.id, now(), (name,)), ANSWER, path, body)
