"""The files by which clusters know one another: our own keys and certificate, and the card that each gives its peers.

A card is text that may be read by anybody: a public key and a certificate in PEM. It has to come the right way (by a
person, not by the network), for whoever owns it speaks as that cluster.
"""

import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from federation import privatefile
from federation.bundles import keys
from federation.errors import Refused
from federation.peers.sealing import Known
from federation.runtime import certificates

_LARGEST = 64 << 10  # bytes of a card: it has some 700, and a certificate may be added before the old one goes
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_CURE = "copy it whole from there, where `elias peers card` prints it"


class Identity(NamedTuple):
    """sign: with which messages are signed. cert, key: PEM files of the connections."""

    sign: Ed25519PrivateKey
    cert: Path
    key: Path


def ours(folder: Path, name: str) -> Identity:
    """What this cluster, `name`, goes by: made at the first time. Raises Refused for what cannot be read."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    signing, cert, key = folder / "signing.key", folder / "cert.pem", folder / "key.pem"
    if not signing.exists():
        keys.generate(signing)
    if not cert.exists():
        made = certificates.alone(f"ELIAS {name}")
        privatefile.write(key, made[1].encode())
        privatefile.write(cert, made[0].encode())
    return Identity(keys.load_private(signing), cert, key)


def card(folder: Path, name: str) -> str:
    """What our peers are to have of us."""
    mine = ours(folder, name)
    return (folder / "signing.pub").read_text() + mine.cert.read_text()


def read_card(path: Path) -> Known:
    """Raises Refused for a file that is no card."""
    try:
        if path.stat().st_size > _LARGEST:
            raise Refused("peer-card", "the file is too large to be a card", place=str(path), cure=_CURE)
        text = path.read_text(encoding="ascii")
        certificates = tuple(ssl.PEM_cert_to_DER_cert(pem) for pem in _certificates(text))
        public = load_pem_public_key(text.encode())
    except OSError as error:
        raise Refused("peer-card", error.strerror or str(error), place=str(path), cure=_CURE) from None
    except (ValueError, UnsupportedAlgorithm):
        raise Refused("peer-card", "this is no card of a peer", place=str(path), cure=_CURE) from None
    if not isinstance(public, Ed25519PublicKey) or not certificates:
        raise Refused("peer-card", "a card has an Ed25519 key and a certificate", place=str(path), cure=_CURE)
    return Known(public, certificates)


def context(mine: Identity, purpose: ssl.Purpose, peers: Iterable[Known]) -> ssl.SSLContext:
    """Takes just the certificates of these peers, and shows ours. purpose: CLIENT_AUTH to serve, SERVER_AUTH to ask.

    Raises Refused for our own files where they do not belong together."""
    serves = purpose is ssl.Purpose.CLIENT_AUTH
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if serves else ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.check_hostname = False  # the certificate itself is known, whatever name it is reached by
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    made.load_verify_locations(cadata=b"".join(one for peer in peers for one in peer.certificates))
    try:
        made.load_cert_chain(mine.cert, mine.key)
    except (OSError, ssl.SSLError) as error:
        cure = "remove both for new ones, and give every peer the new card"
        raise Refused("peer-certificate", str(error), place=str(mine.cert), cure=cure) from None
    return made


def _certificates(text: str) -> list[str]:
    return [_BEGIN + part.partition(_END)[0] + _END + "\n" for part in text.split(_BEGIN)[1:]]
