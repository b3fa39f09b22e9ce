"""Specs as they are, were or would be: a file, a folder, a bundle, a git revision, or what is on record."""

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from federation.errors import Refused
from managers.uim.cli.output import say
from managers.uim.cli.specs.sources import bundle_of, overlay_in, overlay_names

if TYPE_CHECKING:
    import tiki
    from federation.ledger.store import Store
    from federation.points import DecisionPoint

LATEST = "latest"
_CURE = "name a file, a folder, a bundle, `HEAD~1:tiki_specs`, `latest`, or a bundle that `elias bundle history` lists"


def bundle_at(
    context: typer.Context,
    word: str,
    overlay: str | None,
    store: "Store | None",
    points: "dict[str, DecisionPoint]",
) -> "tiki.Bundle":
    """What a word names: an existing path, `REVISION:PATH` of git, or a bundle on record by version or digest.
    overlay: what is laid over it where it is a folder.

    Raises Refused with the cure.
    """
    path = Path(word)
    if path.is_file() and path.suffix == ".bundle":
        return _from_artefact(path, points)
    if path.exists():
        return bundle_of(context, path, overlay if path.is_dir() else None, word)
    revision, colon, _ = word.partition(":")
    if colon and revision:
        return _from_git(context, word, overlay)
    if store is None:
        raise Refused("no-specs", f"`{word}` is no path, and there is no ledger here that might know it", cure=_CURE)
    return _on_record(word, store, points)


def _from_artefact(path: Path, points: "dict[str, DecisionPoint]") -> "tiki.Bundle":
    from federation.bundles import artefact  # noqa: PLC0415

    content = artefact.load(path.read_bytes(), str(path)).content
    return _rebuilt(content.texts, content.points, points, str(path))


def _from_git(context: typer.Context, word: str, overlay: str | None) -> "tiki.Bundle":
    kind = _git(word, "cat-file", "-t", word).strip()
    with tempfile.TemporaryDirectory() as folder:
        if kind == b"blob":
            path = Path(folder) / Path(word.partition(":")[2]).name
            path.write_bytes(_git(word, "cat-file", "blob", word))
            return bundle_of(context, path)
        with tarfile.open(fileobj=io.BytesIO(_git(word, "archive", word))) as archive:
            archive.extractall(folder, filter="data")
        name = overlay_in(context, _here(word), overlay)
        if overlay is None and name and name not in overlay_names(Path(folder)):
            say(f"{word}: without overlay {name}, which is not there")
            name = ""
        return bundle_of(context, Path(folder), name, word)


def _here(word: str) -> Path:
    """Where the folder lies that `REVISION:PATH` names; git counts from the top, or from here after `./`."""
    path = word.partition(":")[2]
    relative = path.startswith(("./", "../"))
    return Path() / path if relative else Path(_git(word, "rev-parse", "--show-toplevel").decode().strip()) / path


def _git(word: str, *arguments: str) -> bytes:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise Refused("no-git", "git is not installed here", place=word, cure="name a folder instead") from None
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode(errors="replace").strip().splitlines()
        cure = "write REVISION:PATH, such as `HEAD~1:tiki_specs`"
        raise Refused("no-revision", why[-1] if why else "git does not know it", place=word, cure=cure) from None


def _on_record(word: str, store: "Store", points: "dict[str, DecisionPoint]") -> "tiki.Bundle":
    from federation.bundles import history  # noqa: PLC0415

    if word == LATEST:
        newest = history.history(store, 1)
        if not newest:
            raise Refused("no-bundle", "no bundle is on record yet", place=store.place, cure="start it with `elias up`")
        word = newest[0].digest
    text = history.find(store, word)
    return _rebuilt(text.sources, text.versions, points, word)


def _rebuilt(
    texts: Mapping[str, str], versions: Mapping[str, int], points: "dict[str, DecisionPoint]", word: str
) -> "tiki.Bundle":
    import tiki  # noqa: PLC0415 - the parser takes a quarter of a second
    from federation.points import schemas  # noqa: PLC0415

    cure = "compare the specs as files: `elias bundle unpack` and `elias ledger export` have their text"
    here = {name: point.schema.version for name, point in points.items()}
    other = sorted(name for name, version in versions.items() if here.get(name) != version)
    if other:
        what = f"it was made for other versions of {', '.join(other)}"
        raise Refused("other-version", what, place=word, cure=cure)
    try:
        return tiki.rebuild(texts, schemas(points))
    except tiki.Invalid as error:
        raise Refused("old-specs", f"this ELIAS does not take it any more: {error}", place=word, cure=cure) from None
