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
    return verified(signed_bytes(content), signatures, trusted, place, "bundle", "`elias bundle sign FILE --key KEY`")


def verified(
    body: bytes, signatures: Iterable[Signature], trusted: Mapping[str, Trusted], place: str, what: str, how: str
) -> tuple[str, ...]:
    """The same for any bytes. what: what is signed, for the error: a bundle, a policy. how: the command that signs."""
    given = list(signatures)
    known = [(trusted[s.key], s) for s in given if s.key in trusted]
    for signer, signature in known:
        try:
            signer.key.verify(signature.value, body)
        except InvalidSignature:
            said = f"the signature of `{signer.name}` does not fit: the {what} was changed, or another key signed it"
            cure = "get it again from who signed it, or build and sign it anew"
            raise Refused(f"{what}-signature", said, place=place, cure=cure) from None
    if not given:
        raise Refused(f"{what}-unsigned", "it is not signed", place=place, cure=f"{how} signs it")
    if not known:
        names = ", ".join(sorted(one.name for one in trusted.values()))
        said = f"it is signed by {', '.join(s.key for s in given[:3])}, and none of these keys is trusted here"
        cure = f"have it signed by one of {names}, or put the signer's public key into the trust folder"
        raise Refused(f"{what}-untrusted", said, place=place, cure=cure)
    return tuple(sorted(signer.name for signer, _ in known))
