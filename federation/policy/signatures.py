"""Signs a policy in its folder, with the keys that sign bundles (`federation.bundles.keys`)."""

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation import privatefile
from federation.bundles.artefact import MOST_SIGNATURES, Signature
from federation.bundles.keys import id_of
from federation.errors import Refused
from federation.policy import artefacts


def sign(folder: Path, key: Ed25519PrivateKey) -> artefacts.Artefact:
    """Put a signature beside those of others; the same key again replaces its own. Raises Refused. Blocking."""
    found = artefacts.read(folder)
    mine = Signature(id_of(key.public_key()), key.sign(artefacts.signed_bytes(found)))
    signatures = sorted([mine, *(s for s in found.signatures if s.key != mine.key)], key=lambda s: s.key)
    if len(signatures) > MOST_SIGNATURES:
        cure = f"remove {artefacts.SIGNATURES}, and have those sign that are to"
        raise Refused("policy-signature", f"it has {MOST_SIGNATURES} signatures", place=str(folder), cure=cure)
    privatefile.write(folder / artefacts.SIGNATURES, msgspec.json.encode(signatures))
    return found._replace(signatures=signatures)
