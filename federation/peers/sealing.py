"""Seals: who says something to whom, when, by which clusters it came; signed with Ed25519 over all that and the body.

The certificate of the connection says who speaks; the signature says so of each message, and for whom it is, so that
nobody can hand one on, be it a proxy or another peer.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta

from federation.errors import Refused
from federation.peers.messages import LARGEST
from federation.peers.settings import NAME
from federation.peers.window import YOUNG, Window

VERSION = 1
HOPS = 3  # clusters that a job may have come by
SEAL, SIGNATURE = "elias-seal", "elias-signature"  # headers
ANSWER = "ANSWER"  # stands for the method where an answer is signed

_DOMAIN = b"elias peers\n"  # no other signature of ELIAS begins so
_LONGEST = 2048  # characters of a header

Name = Annotated[str, Meta(pattern=rf"^{NAME}\Z")]


class Seal(msgspec.Struct, frozen=True):
    """time: ms since 1970. id: of the message; an answer bears that of its question. hops: the clusters that it comes
    by, the sender last."""

    sender: Name
    recipient: Name
    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    time: int
    hops: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=16)]
    v: int = VERSION


class Known(NamedTuple):
    """A peer as its card says. certificates: in DER."""

    key: Ed25519PublicKey
    certificates: tuple[bytes, ...]


def signed_bytes(seal: Seal, method: str, path: str, body: bytes) -> bytes:
    """What is signed: a JSON array, in which no two seals look alike."""
    digest = hashlib.sha256(body).hexdigest()
    return _DOMAIN + msgspec.json.encode((method, path, digest, *msgspec.structs.astuple(seal)))


def sign(key: Ed25519PrivateKey, seal: Seal, method: str, path: str, body: bytes) -> dict[str, str]:
    """The headers."""
    signature = key.sign(signed_bytes(seal, method, path, body))
    return {SEAL: _text(msgspec.json.encode(seal)), SIGNATURE: _text(signature)}


class Door:
    """Lets messages in that are for this cluster, `name`, from the peers that it knows."""

    def __init__(self, name: str, known: Mapping[str, Known], window: Window) -> None:
        self.name, self.known, self.window = name, known, window

    def check(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, certificate: bytes, now: int
    ) -> Seal:
        """The seal of a message that is let in, each once. certificate: of the connection, in DER. now: ms.

        Raises Refused; first for whoever is not who they say, and last for what was taken before, so that nobody else
        can use up what is remembered.
        """
        seal, peer = self._opened(method, path, headers, body)
        if not any(hmac.compare_digest(certificate, one) for one in peer.certificates):
            what = f"the connection was not made with the certificate of `{seal.sender}`"
            raise Refused("peer-certificate", what, cure="take its card anew: `elias peers card` prints it there")
        if seal.recipient != self.name:
            what = f"the message is for `{seal.recipient}`, and this is `{self.name}`"
            raise Refused("peer-recipient", what, cure="`peers.known` names each cluster as it names itself")
        if seal.hops[-1] != seal.sender:
            raise Refused("peer-hops", "the last cluster it came by is not its sender", cure="send it with true hops")
        if self.name in seal.hops or len(set(seal.hops)) < len(seal.hops):
            what = f"it goes in a circle: {' > '.join((*seal.hops, self.name))}"
            raise Refused("peer-loop", what, cure="nothing is to be done: its sender keeps it")
        if len(seal.hops) > HOPS:
            raise Refused("peer-hops", f"it came by more than {HOPS} clusters", cure="its sender keeps it")
        self.window.take(seal.sender, seal.id, seal.time, now)
        return seal

    def check_answer(self, asked: Seal, path: str, headers: Mapping[str, str], body: bytes, now: int) -> None:
        """Raises Refused for what is not the answer of whom we asked, to what we asked."""
        seal, _ = self._opened(ANSWER, path, headers, body)
        if (seal.sender, seal.recipient, seal.id) != (asked.recipient, asked.sender, asked.id):
            what = f"this is no answer of `{asked.recipient}` to message `{asked.id}`"
            raise Refused("peer-answer", what, cure="see who answers at its address")
        if abs(now - seal.time) > YOUNG:
            raise Refused("peer-late", "the answer is not of now", cure="compare the clocks of both clusters")

    def _opened(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[Seal, Known]:
        """The seal, and who set it."""
        if len(body) > LARGEST:
            raise Refused("peer-size", f"a message has at most {LARGEST} bytes", cure="send less")
        raw, signature = _bytes(headers.get(SEAL, "")), _bytes(headers.get(SIGNATURE, ""))
        version = _version(raw)
        if version != VERSION:
            what = f"the message is of version {version}, and this ELIAS speaks version {VERSION}"
            raise Refused("peer-version", what, cure="run the same release of ELIAS on both sides")
        try:
            seal = msgspec.json.decode(raw, type=Seal)
        except msgspec.ValidationError as error:
            raise Refused("peer-unsigned", f"the seal makes no sense: {error}", cure=_CURE) from None
        peer = self.known.get(seal.sender)
        if peer is None:
            what = f"no peer `{seal.sender}` is known here"
            raise Refused("peer-unknown", what, cure="name it below `peers.known` in elias.yaml")
        try:
            peer.key.verify(signature, signed_bytes(seal, method, path, body))
        except InvalidSignature:
            what = f"the signature is not of `{seal.sender}`, or something was changed since"
            raise Refused("peer-signature", what, cure="take its card anew: `elias peers card` prints it") from None
        return seal, peer


_CURE = f"a message has the headers `{SEAL}` and `{SIGNATURE}`: see docs/peers.md"


def _version(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw, type=dict[str, object]).get("v")
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise Refused("peer-unsigned", "the message is not signed", cure=_CURE) from None


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def _bytes(header: str) -> bytes:
    """Of a header; nothing where it is none."""
    if len(header) > _LONGEST:
        return b""
    try:
        return base64.b64decode(header, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
