"""The store of policies: a folder for each version below the state folder, from which they are served.

What lies there was checked when it came and is checked again before it is used: the files are those of the card, all of
them together are what was registered, and where the settings want it somebody who is trusted has signed them.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from federation import privatefile
from federation.bundles.artefact import MOST_SIGNATURES, Signature
from federation.errors import Refused
from federation.policy import calibration, card
from federation.policy.calibration import Calibration
from federation.policy.card import Card
from federation.policy.promotions import Estimate

CALIBRATION, ESTIMATES, SIGNATURES = "calibration.json", "estimates.json", "signatures.json"
LARGEST = 64 << 30
"""Bytes of all files: the weights of 34 billion parameters in 8 bits have half as much."""
SMALL = 4 << 20
"""Bytes of a file that is not weights or a network."""

T = TypeVar("T")

_PAYLOAD = b"application/vnd.elias.policy+json"  # what a signature is about, so that it stands for nothing else
_PLAIN = (card.CARD, CALIBRATION, ESTIMATES, SIGNATURES)
_ANEW = "register the folder again: `elias policy register FOLDER`"


class Artefact(NamedTuple):
    """A policy as it lies in a folder. content: SHA-256 over all files but the signatures, as hex. calibration: None
    where it never was calibrated, so it decides nothing alone. estimates: by point. signatures: in order of key."""

    folder: Path
    card: Card
    content: str
    calibration: Calibration | None
    estimates: dict[str, Estimate]
    signatures: list[Signature]


def read(folder: Path) -> Artefact:
    """The policy in a folder. Blocking: it reads every byte. Raises Refused where it is not whole, or too large."""
    sizes = {name: _size(folder / name) for name in _files(folder)}
    for name, size in sizes.items():
        if size > SMALL and name in _PLAIN:
            raise _refused(f"{name} has {size} bytes; {SMALL >> 20} MiB are the most", folder)
    if sum(sizes.values()) > LARGEST:
        raise _refused(f"it has {sum(sizes.values())} bytes; {LARGEST >> 30} GiB are the most", folder)
    found = card.read(folder)
    parts = dict(found.files)
    parts |= {name: card.digest(folder / name) for name in _PLAIN if name in sizes and name != SIGNATURES}
    content = hashlib.sha256("\n".join(f"{name} {parts[name]}" for name in sorted(parts)).encode()).hexdigest()
    known = calibration.load(folder / CALIBRATION, found.version) if CALIBRATION in sizes else None
    estimates = _decoded(folder / ESTIMATES, dict[str, Estimate]) if ESTIMATES in sizes else {}
    signatures = _decoded(folder / SIGNATURES, list[Signature]) if SIGNATURES in sizes else []
    return Artefact(folder, found, content, known, estimates, signatures[:MOST_SIGNATURES])


def place(state: Path, version: str = "") -> Path:
    """The store, or the folder of a version in it. Raises Refused for what is no version."""
    if version and (len(version) != 64 or set(version) - set("0123456789abcdef")):
        cure = "a version has 64 hex digits; `elias policy list` shows them"
        raise Refused("no-policy", f"`{version[:80]}` is no version of a policy", cure=cure)
    return state / "policies" / version


def store(state: Path, folder: Path) -> Artefact:
    """Copy a policy into the store: it lies there whole, or not at all. The same one again changes nothing, a policy
    that was stored before with another calibration or other estimates is refused.

    Raises Refused. Blocking.
    """
    given = read(folder)
    there = place(state, given.card.version)
    if not there.exists():
        place(state).mkdir(parents=True, exist_ok=True, mode=0o700)
        _clear(state)
        made = place(state) / f".{given.card.version[:12]}.{os.getpid()}"
        made.mkdir(mode=0o700)
        for name in (name for name in _files(folder) if name in given.card.files or name in _PLAIN):
            _copy(folder / name, made / name)
        if read(made).content != given.content:
            shutil.rmtree(made)
            raise _refused("it was changed while it was copied", folder)
        _sync(made)
        made.rename(there)
        _sync(there.parent)
    kept = read(there)
    if kept.content != given.content:
        what = f"policy {given.card.version[:12]} was registered with other files beside its weights"
        cure = "a calibration is replaced by `ulm.calibration`, on evidence; train a new version for anything else"
        raise Refused("policy-registered", what, place=str(folder), cure=cure)
    if given.signatures != kept.signatures:
        privatefile.write(there / SIGNATURES, msgspec.json.encode(given.signatures))
        kept = kept._replace(signatures=given.signatures)
    return kept


def load(state: Path, version: str, content: str = "", *, trust: Path | None = None, require: bool = False) -> Artefact:
    """The policy of this version in the store. content: what was registered, where that is known. require: whether
    somebody in `trust` has to have signed it. Raises Refused. Blocking.
    """
    folder = place(state, version)
    if not folder.is_dir():
        raise Refused("no-policy", f"policy {version[:12]} is not in the store", place=str(folder), cure=_ANEW)
    found = read(folder)
    if found.card.version != version or content not in ("", found.content):
        raise _refused(f"it is not the policy {version[:12]} that was registered", folder)
    if require:
        signers(found, trust)
    return found


def signers(artefact: Artefact, trust: Path | None) -> tuple[str, ...]:
    """Who signed it, by the names of the keys that are trusted here. Raises Refused where nobody did."""
    if trust is None:
        cure = "set `bundles.trust` in elias.yaml to the folder of the public keys that count"
        raise Refused("no-keys", "no key is trusted here", place=str(artefact.folder), cure=cure)
    from federation.bundles.keys import trusted  # noqa: PLC0415 - OpenSSL, which most installations need not load
    from federation.bundles.signing import verified  # noqa: PLC0415

    body = signed_bytes(artefact)
    place, how = str(artefact.folder), "`elias policy sign FOLDER --key KEY`"
    return verified(body, artefact.signatures, trusted(trust), place, "policy", how)


def signed_bytes(artefact: Artefact) -> bytes:
    """What is signed: the pre-authentication encoding of DSSE v1 (secure-systems-lab/dsse, protocol.md)."""
    body = msgspec.json.encode({"content": artefact.content, "policy": artefact.card.version}, order="deterministic")
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD), _PAYLOAD, len(body), body)


def _files(folder: Path) -> Iterator[str]:
    """What counts; whatever else lies there is left where it is."""
    return (name for name in (*card.FILES, *card.ADAPTER, *_PLAIN) if (folder / name).exists())


def _size(path: Path) -> int:
    """Raises Refused for what is not a plain file: a link would be copied from wherever it points to."""
    if path.is_symlink() or not path.is_file():
        raise _refused(f"{path.name} is not a plain file", path.parent)
    return path.stat().st_size


def _decoded(path: Path, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _refused(f"{path.name}: {error}", path.parent) from None


def _copy(source: Path, target: Path) -> None:
    with (
        source.open("rb") as given,
        os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made,
    ):
        shutil.copyfileobj(given, made, 1 << 20)
        made.flush()
        os.fsync(made.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _clear(state: Path) -> None:
    """What was left by a copy that was killed."""
    for left in place(state).glob(".*"):
        if not Path(f"/proc/{left.suffix[1:]}").exists():
            shutil.rmtree(left)


def _refused(what: str, folder: Path) -> Refused:
    return Refused("bad-policy", what, place=str(folder), cure="export the policy again, and register that folder")
