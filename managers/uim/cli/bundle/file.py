"""build, keygen, sign, verify, show, diff, unpack: a bundle as a file."""

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.output import Json, emit, say, table

if TYPE_CHECKING:
    import tiki
    from federation.bundles.artefact import Artefact

PASSPHRASE = "ELIAS_BUNDLE_PASSPHRASE"  # noqa: S105 - the name of a variable

File = Annotated[Path, typer.Argument(help="A bundle, as `elias bundle build` writes it.")]


def build(
    context: typer.Context,
    version: Annotated[str, typer.Option("--version", "-v", help="The label that people use, such as `2026.10`.")],
    folder: Annotated[Path | None, typer.Argument(help="Folder of specs; by default that of the settings.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; by default `VERSION.bundle`.")] = None,
    overlay: Annotated[str | None, typer.Option(help="Folder under `overlays/` that is laid over the base.")] = None,
    expires: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"], help="UTC; not put in force from then on."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    json_: Json = False,
) -> None:
    """Write specs into one file. The same specs give the same bytes on every machine; specs with errors give none.

    Examples:

        elias bundle build --version 2026.10

        elias bundle build my_specs -v 2026.10 --overlay production --expires 2027-01-31 -o rules.bundle
    """
    from datetime import UTC  # noqa: PLC0415
    from time import time  # noqa: PLC0415

    from federation.bundles import artefact  # noqa: PLC0415 - the parser takes a quarter of a second
    from managers.uim.cli.specs.sources import overlay_in  # noqa: PLC0415

    found = _built(folder or settings_of(context).spec_folder, overlay_in(context, folder, overlay))
    until = expires and expires.replace(tzinfo=UTC)
    if until and until.timestamp() <= time():
        what = f"a bundle that expired at {until.isoformat()} comes into force nowhere"
        raise Refused("bundle-expires", what, cure="give `--expires` a time to come")
    made = artefact.make(found.texts, _points_here(), version, until)
    path = output or Path(f"{version}{artefact.SUFFIX}")
    if path.exists() and not force:
        cure = "choose a new version; `--force` writes over it, and the signatures in it are lost"
        raise Refused("bundle-exists", "there is a file already", place=str(path), cure=cure)
    _write(path, artefact.dump(made))
    for warning in found.warnings:
        say(f"{warning}\n")
    result = {"file": str(path), "digest": made.content.digest, "version": version, "texts": len(found.texts)}
    emit(result) if json_ else print(f"{path}: version {version}, {len(found.texts)} texts, digest {found.digest}")


def _built(folder: Path, overlay: str) -> "tiki.Bundle":
    import tiki  # noqa: PLC0415
    from managers.uim.cli.specs.sources import overlay_of, points  # noqa: PLC0415

    if not folder.is_dir():
        raise Refused("no-specs", "there is no such folder", place=str(folder), cure="correct the path")
    over = overlay_of(folder, overlay) if overlay else None
    try:
        found = tiki.load(folder, points(), over)
    except tiki.Invalid as error:
        cure = "correct it; `elias tiki check` shows the same"
        raise Refused("tiki", str(error), place=str(folder), cure=cure) from None
    if not found.texts:
        raise Refused("no-specs", "there is no spec in this folder", place=str(folder), cure="correct the path")
    return found


def _points_here() -> dict[str, int]:
    from managers.uim.cli.specs.sources import points  # noqa: PLC0415

    return {name: point.version for name, point in points().items()}


def keygen(
    private: Annotated[Path, typer.Argument(help="The private key, such as `ada.key`; `ada.pub` is made beside it.")],
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help=f"Ask for a passphrase; scripts give it in {PASSPHRASE}.")
    ] = False,
) -> None:
    """Make a pair of keys. The private one signs and stays with its owner; the public one goes into trust folders.

    Example:

        elias bundle keygen ada.key --passphrase
    """
    from federation.bundles import keys  # noqa: PLC0415 - OpenSSL

    words = passphrase_from("A passphrase for the new key", twice=True) if passphrase else b""
    public = keys.generate(private, words)
    print(f"{private}: keep it; whoever has it signs in your name")
    print(f"{public}: key {keys.id_of(keys.load_public(public))}, for the folder `bundles.trust`")


def sign(
    file: File,
    key: Annotated[Path, typer.Option("--key", "-k", help="The private key.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Another file to write.")] = None,
) -> None:
    """Put a signature into the file, beside those of others. It covers the texts, the version, and when it expires.

    Example:

        elias bundle sign 2026.10.bundle --key ada.key
    """
    from federation.bundles import artefact, keys, signing  # noqa: PLC0415

    before = read(file)
    private = keys.load_private(key, passphrase_from(f"Passphrase of {key}") if keys.is_locked(key) else b"")
    signed = signing.sign(before, private)
    _write(output or file, artefact.dump(signed))
    print(f"{output or file}: signed by {keys.id_of(private.public_key())}; signatures: {len(signed.signatures)}")


def verify(
    context: typer.Context,
    file: File,
    trust: Annotated[Path | None, typer.Option(help="Folder of public keys; by default that of the settings.")] = None,
    json_: Json = False,
) -> None:
    """Check that the file is whole, fits this ELIAS, and is signed by somebody who is trusted. Exit code 1 if not.

    Examples:

        elias bundle verify 2026.10.bundle

        elias bundle verify 2026.10.bundle --trust /etc/elias/trust
    """
    import time  # noqa: PLC0415

    from federation.bundles.acceptance import Acceptance, record_of  # noqa: PLC0415
    from managers.uim.cli.specs.sources import points  # noqa: PLC0415

    text = record_of(read(file), origin="file", by="", reason="")
    acceptance = Acceptance(points(), trust or settings_of(context).bundles.trust, require=True, place=str(file))
    acceptance.bundle(text, time.time_ns())
    names = acceptance.signers(text)
    if json_:
        emit({"file": str(file), "digest": text.digest, "version": text.version, "signers": names})
    else:
        print(f"{file}: version {text.version}, signed by {', '.join(names)}, digest {text.digest}")


def show(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A bundle; by default the one in force.")] = None,
    texts: Annotated[bool, typer.Option("--texts", help="The texts too.")] = False,
    json_: Json = False,
) -> None:
    """What a bundle says of itself, or what is in force: version, digest, signatures, paths.

    Examples:

        elias bundle show

        elias bundle show 2026.10.bundle --texts
    """
    found = _shown_file(read(file)) if file else Api(settings_of(context)).get("/v1/bundle")
    if json_:
        emit(found)
        return
    sources = found.pop("sources")
    rows = [(name, _words(value)) for name, value in found.items() if value not in ("", None, [], {})]
    table(("", ""), [*rows, *(("text", path) for path in sources)], "")
    if found.get("uncovered"):
        say(uncovered_words(found["uncovered"]))
    if texts:
        for path, text in sources.items():
            print(f"\n--- {path}\n{text}", end="")


def _shown_file(given: "Artefact") -> dict[str, Any]:
    content = given.content
    return {
        "version": content.version,
        "digest": content.digest,
        "tiki": content.language,
        "expires": content.expires and content.expires.isoformat(),
        "points": content.points,
        "signatures": [signature.key for signature in given.signatures],
        "sources": content.texts,
    }


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def diff(old: File, new: File) -> None:
    """What is written differently in two bundles. What it means differently, `elias tiki diff` tells.

    Example:

        elias bundle diff 2026.09.bundle 2026.10.bundle
    """
    from difflib import unified_diff  # noqa: PLC0415

    before, after = read(old).content.texts, read(new).content.texts
    for path in sorted(before.keys() | after.keys()):
        one, other = before.get(path, "").splitlines(), after.get(path, "").splitlines()
        names = [f"{file}/{path}" if path in text else "nothing" for file, text in ((old, before), (new, after))]
        for line in unified_diff(one, other, names[0], names[1], lineterm=""):
            print(line)


def unpack(file: File, folder: Annotated[Path, typer.Argument(help="A folder that is not there yet.")]) -> None:
    """Write the texts of a bundle into a new folder, to read, edit and build them again.

    Example:

        elias bundle unpack 2026.10.bundle specs
    """
    texts = read(file).content.texts
    try:
        folder.mkdir(parents=True)
        for path, text in texts.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        why, place = error.strerror or str(error), str(error.filename or folder)
        raise Refused("unpack", why, place=place, cure="name a folder that is not there yet") from None
    print(f"{folder}: {len(texts)} texts")


def uncovered_words(points: dict[str, str]) -> str:
    """What it means that a policy is asked elsewhere than before, at these points, with an input each."""
    where = ", ".join(f"{point} (for one at {example})" if example else point for point, example in points.items())
    return (
        f"a policy is asked on other inputs than before at {where}: "
        "its promise on error (`max_error`) no longer covers that, until it is calibrated anew"
    )


def read(path: Path) -> "Artefact":
    """The bundle of a file. Raises Refused."""
    from federation.bundles import artefact  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            raw = file.read(artefact.LARGEST + 1)
    except OSError as error:
        raise Refused("unreadable", error.strerror or str(error), place=str(path), cure="check the path") from None
    return artefact.load(raw, str(path))


def _write(path: Path, content: bytes) -> None:
    """The whole file or none of it."""
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        made.write_bytes(content)
        made.replace(path)
    except OSError as error:
        why = error.strerror or str(error)
        raise Refused("unwritable", why, place=str(path), cure="check the path and its permissions") from None


def passphrase_from(prompt: str, *, twice: bool = False) -> bytes:
    given = os.environ.get(PASSPHRASE)
    if given is None:
        if not sys.stdin.isatty():
            cure = f"set {PASSPHRASE}, or run it in a terminal"
            raise Refused("key-passphrase", "there is nobody to ask for the passphrase", cure=cure)
        given = typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True)
    return given.encode()
