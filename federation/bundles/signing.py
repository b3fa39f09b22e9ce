"""Signatures on bundles: made with a private key, checked against the public keys that somebody trusts."""

from collections.abc import Iterable, Mapping

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.bundles.artefact import MOST_SIGNATURES, Artefact, Content, Signature, signed_bytes
from federation.bundles.keys import Trusted, id_of
from federation.errors import Refused


def sign(artefact: Artefact, key: Ed25519PrivateKey) -> Artefact:
    """The artefact with one more signature; the same key again changes nothing."""
    mine = Signature(id_of(key.public_key()), key.sign(signed_bytes(artefact.content)))
    signatures = sorted([mine, *(s for s in artefact.signatures if s.key != mine.key)], key=lambda s: s.key)
    if len(signatures) > MOST_SIGNATURES:
        cure = "build it anew, and have those sign that are to"
        raise Refused("bundle-signature", f"it has {MOST_SIGNATURES} signatures already", cure=cure)
    return msgspec.structs.replace(artefact, signatures=signatures)


def signers(
    content: Content, signatures: Iterable[Signature], trusted: Mapping[str, Trusted], place: str
) -> tuple[str, ...]:
    """The names of the trusted keys that signed this, at least one.

    Raises Refused without a signature that counts, and for one that names a trusted key and was not made by it: then
    the content was changed, or somebody else signed in that name.
    """
    given = list(signatures)
    known = [(trusted[s.key], s) for s in given if s.key in trusted]
    body = signed_bytes(content)
    for signer, signature in known:
        try:
            signer.key.verify(signature.value, body)
        except InvalidSignature:
            what = f"the signature of `{signer.name}` does not fit: the bundle was changed, or another key signed it"
            cure = "get the file again from who signed it, or build and sign it anew"
            raise Refused("bundle-signature", what, place=place, cure=cure) from None
    if not given:
        cure = "`elias bundle sign FILE --key KEY` signs it"
        raise Refused("bundle-unsigned", "it is not signed", place=place, cure=cure)
    if not known:
        names = ", ".join(sorted(one.name for one in trusted.values()))
        what = f"it is signed by {', '.join(s.key for s in given[:3])}, and none of these keys is trusted here"
        cure = f"have it signed by one of {names}, or put the signer's public key into the trust folder"
        raise Refused("bundle-untrusted", what, place=place, cure=cure)
    return tuple(sorted(signer.name for signer, _ in known))
