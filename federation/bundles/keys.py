"""Keys: Ed25519 (RFC 8032) in PEM, the private one in PKCS 8, as `openssl` reads and writes them too."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from federation.errors import Refused

PUBLIC = ".pub"
_LARGEST = 4096  # bytes of a key file: one has 113 to 350
_MOST = 100  # keys of a folder


class Trusted(NamedTuple):
    """A public key that counts, by the name of its file."""

    name: str
    key: Ed25519PublicKey


def id_of(key: Ed25519PublicKey) -> str:
    """What names a key in a signature: SHA-256 of its 32 bytes, as 32 hex digits."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:32]


def generate(private: Path, passphrase: bytes = b"") -> Path:
    """Make a pair: the private key at `private`, readable by its owner alone, the public one beside it as `NAME.pub`,
    whose path is returned. Raises Refused rather than replace a key.
    """
    public = private.with_suffix(PUBLIC)
    if public == private:
        raise Refused("key-name", "a private key does not end in `.pub`", place=str(private), cure="name it NAME.key")
    key = Ed25519PrivateKey.generate()
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    _create(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    try:
        _create(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), 0o600)
    except Refused:
        public.unlink()
        raise
    return public


def _create(path: Path, content: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        cure = "choose another name; whoever replaces a key can no longer sign with the old one"
        raise Refused("key-exists", "there is a file already", place=str(path), cure=cure) from None
    except OSError as error:
        raise Refused("key-write", error.strerror or str(error), place=str(path), cure="see the folder") from None
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def is_locked(path: Path) -> bool:
    """Whether a private key needs a passphrase."""
    return b"ENCRYPTED" in _read(path)


def load_private(path: Path, passphrase: bytes = b"") -> Ed25519PrivateKey:
    """Raises Refused when it is none, when others may read it, or when the passphrase is not its own."""
    raw = _read(path)
    if b"PUBLIC KEY" in raw:
        cure = "sign with the private one, which `elias bundle keygen` made as `NAME.key`"
        raise Refused("key-private", "this is a public key: it verifies, and cannot sign", place=str(path), cure=cure)
    if path.stat().st_mode & 0o077:
        cure = (
            f"`chmod 600 {path}`; if others could read it, make a new one and take this one out of every trust folder"
        )
        raise Refused("key-mode", "the private key can be read by other users", place=str(path), cure=cure)
    try:
        key = load_pem_private_key(raw, passphrase or None)
    except TypeError:
        what = "the key has no passphrase" if passphrase else "the key has a passphrase"
        cure = "leave it out" if passphrase else "set ELIAS_BUNDLE_PASSPHRASE, or run it in a terminal to be asked"
        raise Refused("key-passphrase", what, place=str(path), cure=cure) from None
    except (ValueError, UnsupportedAlgorithm):
        what = "this is not the passphrase of this key, or not a private key"
        raise Refused("key-private", what, place=str(path), cure="see the file and the passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _other_kind(path)
    return key


def load_public(path: Path) -> Ed25519PublicKey:
    """Raises Refused when it is none."""
    try:
        key = load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm):
        cure = "it begins with `-----BEGIN PUBLIC KEY-----`; `elias bundle keygen` makes one"
        raise Refused("key-public", "this is not a public key", place=str(path), cure=cure) from None
    if not isinstance(key, Ed25519PublicKey):
        raise _other_kind(path)
    return key


def trusted(folder: Path) -> Mapping[str, Trusted]:
    """The public keys of a folder, by id. Raises Refused when it cannot be read, holds something else, or anybody may
    add to it.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == PUBLIC)
        open_ = [path for path in (folder, *paths) if path.stat().st_mode & 0o002]
    except OSError as error:
        cure = "correct `bundles.trust` in elias.yaml"
        raise Refused("no-keys", error.strerror or str(error), place=str(folder), cure=cure) from None
    if open_:
        what = "every user of this machine may write here, and so decide whom to trust"
        raise Refused("key-mode", what, place=str(open_[0]), cure=f"`chmod o-w {open_[0]}`")
    if not paths:
        cure = "put the signers' `NAME.pub` there; `elias bundle keygen` makes a pair"
        raise Refused("no-keys", "there is no public key here", place=str(folder), cure=cure)
    if len(paths) > _MOST:
        raise Refused("key-count", f"more than {_MOST} keys", place=str(folder), cure="keep those that are in use")
    found = [Trusted(path.stem, load_public(path)) for path in paths]
    return {id_of(one.key): one for one in found}


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except OSError as error:
        raise Refused("no-key", error.strerror or str(error), place=str(path), cure="see the path") from None
    if len(raw) > _LARGEST:
        raise Refused("key-size", "the file is too large to be a key", place=str(path), cure="see the path")
    return raw


def _other_kind(path: Path) -> Refused:
    cure = "make one with `elias bundle keygen` or `openssl genpkey -algorithm ed25519`"
    return Refused("key-kind", "this is not an Ed25519 key", place=str(path), cure=cure)
