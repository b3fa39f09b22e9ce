"""A bundle as one file: the texts, the points and the language that they were written for, a label, and signatures.

The file is JSON in a single form: whatever is not byte for byte as `dump` writes it is refused, so there is nothing in
it that one reader sees and another does not, and the same input gives the same bytes on every machine.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from federation.errors import Refused
from tiki.bundle import digest_of
from tiki.front import VERSION

FORMAT = "elias-bundle/1"
PAYLOAD = b"application/vnd.elias.bundle+json"  # what a signature is about, so that it stands for nothing else
LARGEST = 2 << 20  # bytes of a file: the specs that ship have 15 KB
MOST_TEXTS = 2000
MOST_SIGNATURES = 32
SUFFIX = ".bundle"

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{32}")
_ANEW = "get the file again, or build it anew with `elias bundle build`"


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is signed. digest: of texts and points, as decisions name it. version: the label that people use. language:
    version of TIKI. expires: from then on it cannot be put in force. points: their versions. texts: by path; the
    overlay that was chosen stands under `overlays/`.
    """

    digest: str
    version: str
    language: int
    expires: Annotated[datetime, msgspec.Meta(tz=True)] | None
    points: dict[str, int]
    texts: dict[str, str]


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """key: id of the public key (`keys.id_of`). value: Ed25519 over `signed_bytes`, 64 bytes."""

    key: str
    value: bytes


class Artefact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """signatures: in order of key, one each."""

    format: str
    content: Content
    signatures: list[Signature] = []


def make(
    texts: Mapping[str, str], points: Mapping[str, int], version: str, expires: datetime | None = None
) -> Artefact:
    """An artefact without signatures. Raises Refused for a label or a path that it cannot have."""
    until = expires and expires.astimezone(UTC).replace(microsecond=0)
    content = Content(digest_of(texts, points), version, VERSION, until, dict(points), dict(texts))
    _check(content, version)
    return Artefact(FORMAT, content)


def dump(artefact: Artefact) -> bytes:
    """The file. Raises Refused when it is larger than one may be."""
    raw = msgspec.json.format(msgspec.json.encode(artefact, order="deterministic"), indent=2) + b"\n"
    if len(raw) > LARGEST:
        raise _too_large(artefact.content.version)
    return raw


def load(raw: bytes, place: str) -> Artefact:
    """The artefact that a file holds; `place` names the file in errors. Signatures are not checked here.

    Raises Refused, with a cure, for whatever is not exactly what `dump` writes.
    """
    if len(raw) > LARGEST:
        raise _too_large(place)
    try:
        known = msgspec.json.decode(raw, type=_Head).format
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Refused("bundle-format", "this is not a bundle", place=place, cure=_ANEW) from None
    if known != FORMAT:
        cure = f"this ELIAS reads `{FORMAT}`; use the one that built it, or build it anew"
        raise Refused("bundle-format", f"it has the format `{known[:40]}`", place=place, cure=cure)
    try:
        artefact = msgspec.json.decode(raw, type=Artefact)
        canonical = dump(artefact) == raw
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("bundle-format", f"this is not a whole bundle: {error}", place=place, cure=_ANEW) from None
    if not canonical:
        what = "it was edited, or saved in another form than ELIAS writes"
        raise Refused("bundle-format", what, place=place, cure=_ANEW)
    _check(artefact.content, place)
    keys = [signature.key for signature in artefact.signatures]
    if len(keys) > MOST_SIGNATURES or keys != sorted(set(keys)):
        what = f"signatures stand in order of their keys, one each, at most {MOST_SIGNATURES}"
        raise Refused("bundle-format", what, place=place, cure=_ANEW)
    return artefact


def signed_bytes(content: Content) -> bytes:
    """What is signed: the pre-authentication encoding of DSSE v1 (secure-systems-lab/dsse, protocol.md) over the
    content as JSON with sorted keys."""
    body = msgspec.json.encode(content, order="deterministic")
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD), PAYLOAD, len(body), body)


def check_digest(content: Content, place: str) -> None:
    """Raises Refused unless texts and points give the digest."""
    if digest_of(content.texts, content.points) != content.digest:
        what = f"its texts are not those of digest {content.digest[:40]}: it was changed after it was built"
        raise Refused("bundle-tampered", what, place=place, cure=_ANEW)


def check_language(content: Content, place: str) -> None:
    """Raises Refused when this ELIAS does not read that version of TIKI."""
    if content.language != VERSION:
        older = content.language < VERSION
        cure = "build it anew from its sources" if older else "put it in force with the newer ELIAS that built it"
        what = f"it is written in version {content.language} of TIKI, and this ELIAS reads version {VERSION}"
        raise Refused("bundle-language", what, place=place, cure=cure)


def check_points(content: Content, points: Mapping[str, int], place: str) -> None:
    """Raises Refused unless it was built for these points in these versions."""
    if content.points != points:
        names = sorted(n for n in content.points.keys() | points.keys() if content.points.get(n) != points.get(n))
        what = f"it was built for another version of {', '.join(names[:5])}{' and others' if len(names) > 5 else ''}"
        cure = "build it anew with the ELIAS that runs: `elias bundle build`"
        raise Refused("bundle-points", what, place=place, cure=cure)


def check_expiry(content: Content, at: datetime, place: str) -> None:
    """Raises Refused when it may no longer be put in force at that time."""
    if content.expires is not None and at >= content.expires:
        what = f"it could be put in force until {content.expires:%Y-%m-%d %H:%M} UTC"
        raise Refused("bundle-expired", what, place=place, cure="build and sign it anew with a later `--expires`")


def is_digest(word: str) -> bool:
    """Whether a word is a digest; a label never is."""
    return _DIGEST.fullmatch(word) is not None


class _Head(msgspec.Struct):
    format: str


def _check(content: Content, place: str) -> None:
    if _LABEL.fullmatch(content.version) is None or is_digest(content.version):
        cure = "write one like `2026.10` or `1.4.0-rc1`: letters, digits, `.`, `_`, `+` and `-`, at most 64"
        raise Refused("bundle-version", f"`{content.version[:80]}` is not a version", place=place, cure=cure)
    if not 0 < len(content.texts) <= MOST_TEXTS:
        what = f"it has {len(content.texts)} texts"
        raise Refused("bundle-texts", what, place=place, cure=f"a bundle has 1 to {MOST_TEXTS}")
    for path in content.texts:
        _check_path(path, place)
    check_language(content, place)
    check_digest(content, place)


def _check_path(path: str, place: str) -> None:
    """A path below a folder, the same on every machine: it is shown, and files are made by it."""
    parts = path.split("/")
    wrong = (
        len(path) > 255
        or any(part in ("", ".", "..") for part in parts)
        or "\\" in path
        or ":" in parts[0]
        or any(unicodedata.category(character).startswith("C") for character in path)
        or not unicodedata.is_normalized("NFC", path)
    )
    if wrong:
        cure = "rename the file: names below the folder of specs, without `..`, `\\` and control characters"
        raise Refused("bundle-path", f"{path[:80]!r} is not a path of a text", place=place, cure=cure)


def _too_large(place: str) -> Refused:
    return Refused("bundle-size", f"a bundle has at most {LARGEST >> 20} MiB", place=place, cure="split the specs")
