"""Specs as they are, were or would be: a file, a folder, a git revision, or a bundle on record."""

import io
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from federation.errors import Refused
from managers.uim.cli.specs.sources import bundle_of

if TYPE_CHECKING:
    import tiki
    from federation.ledger.store import Store
    from federation.points import DecisionPoint

LATEST = "latest"
_DIGEST = re.compile(r"[0-9a-f]{6,32}")


def bundle_at(
    context: typer.Context, word: str, store: "Store | None", points: "dict[str, DecisionPoint]"
) -> "tiki.Bundle":
    """What a word names: an existing path, `REVISION:PATH` of git, `latest` or the beginning of a digest.

    Raises Refused with the cure.
    """
    if Path(word).exists():
        return bundle_of(context, Path(word))
    revision, colon, _ = word.partition(":")
    if colon and revision:
        return _from_git(context, word)
    if word == LATEST or _DIGEST.fullmatch(word):
        return _on_record(word, store, points)
    cure = "name a file or folder, `HEAD~1:tiki_specs`, `latest` or the digest of a bundle on record"
    raise Refused("no-specs", f"`{word}` names no specs", cure=cure)


def _from_git(context: typer.Context, word: str) -> "tiki.Bundle":
    kind = _git(word, "cat-file", "-t", word).strip()
    with tempfile.TemporaryDirectory() as folder:
        if kind == b"blob":
            path = Path(folder) / Path(word.partition(":")[2]).name
            path.write_bytes(_git(word, "cat-file", "blob", word))
            return bundle_of(context, path)
        with tarfile.open(fileobj=io.BytesIO(_git(word, "archive", word))) as archive:
            archive.extractall(folder, filter="data")
        return bundle_of(context, Path(folder))


def _git(word: str, *arguments: str) -> bytes:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise Refused("no-git", "git is not installed here", place=word, cure="name a folder instead") from None
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode(errors="replace").strip().splitlines()
        cure = "write REVISION:PATH, such as `HEAD~1:tiki_specs`"
        raise Refused("no-revision", why[-1] if why else "git does not know it", place=word, cure=cure) from None


def _on_record(word: str, store: "Store | None", points: "dict[str, DecisionPoint]") -> "tiki.Bundle":
    import tiki  # noqa: PLC0415 - the parser takes a quarter of a second
    from federation.whatif import recorded  # noqa: PLC0415

    if store is None:
        cure = "name the ledger with --ledger, or specs as files"
        raise Refused("no-ledger", f"`{word}` is a bundle on record, and there is no ledger here", cure=cure)
    try:
        bundle = recorded(store, points, "" if word == LATEST else word)
    except tiki.Invalid as error:
        cure = "compare the specs as files: `elias ledger export` has their text"
        raise Refused("old-specs", f"this ELIAS does not take them any more: {error}", place=word, cure=cure) from None
    if bundle is None:
        cure = "`elias ledger tail` shows what was put in force"
        raise Refused("no-bundle", f"no bundle on record is `{word}`", place=store.place, cure=cure)
    return bundle
