"""activate, rollback, history: which bundle is in force."""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.errors import Refused
from managers.uim.cli.bundle.file import read, uncovered_words
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.output import Json, emit, say, table

if TYPE_CHECKING:
    from federation.bundles.artefact import Artefact
    from federation.bundles.history import Entry
    from federation.records import BundleText
    from federation.settings import Settings

Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.")]


def activate(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A bundle.")] = None,
    folder: Annotated[
        bool, typer.Option("--folder", help="Instead, follow the edits of the spec folder again.")
    ] = False,
    at_start: Annotated[bool, typer.Option("--at-start", help="Not now, but when ELIAS is started next.")] = False,
    reason: Reason = "",
    json_: Json = False,
) -> None:
    """Put a bundle in force for the next event.

    It stays so over restarts, and edits of the spec folder change nothing until `--folder` says that they do.

    Exit code 1 when it is refused, or when a manager goes on with other rules; then it says which and why.

    Examples:

        elias bundle activate 2026.10.bundle --reason "drain later at night"

        elias bundle activate 2026.10.bundle --at-start

        elias bundle activate --folder
    """
    settings, words = settings_of(context), {"reason": reason}
    if (file is None) is not folder or (folder and at_start):
        raise Refused("usage", "name a bundle, or `--folder`", cure="`elias bundle activate --help` has examples")
    if file is None:
        _switched(Api(settings).put("/v1/bundle/folder", words), json_)
    else:
        from federation.bundles.artefact import dump  # noqa: PLC0415

        given = read(file)
        found = None
        if at_start:
            _stage(settings, _record(given, reason), json_)
        else:
            found = Api(settings).put("/v1/bundle", {**words, "file": dump(given).decode()})
        if not given.signatures:
            say("unsigned: nobody vouches for it; `bundles.require_signature: true` refuses such")
        if found is not None:
            _switched(found, json_)


def _stage(settings: "Settings", text: "BundleText", json_: bool) -> None:
    import time  # noqa: PLC0415

    from federation.bundles import staging  # noqa: PLC0415
    from federation.bundles.acceptance import Acceptance  # noqa: PLC0415
    from managers.uim.cli.specs.sources import points  # noqa: PLC0415

    required = settings.bundles.require_signature
    Acceptance(points(), settings.bundles.trust, require=required).bundle(text, time.time_ns())
    staging.stage(settings.state, text)
    place = str(staging.place(settings.state))
    emit({"digest": text.digest, "version": text.version, "staged": place}) if json_ else print(
        f"version {text.version} comes into force at the next `elias up`; until then it is {place}"
    )


def rollback(
    context: typer.Context,
    digest: Annotated[str, typer.Argument(help="Which; by default the one that was in force before.")] = "",
    to: Annotated[str, typer.Option(help="Its version instead.")] = "",
    reason: Reason = "",
    json_: Json = False,
) -> None:
    """Put a bundle in force again that was so before; a second time takes the first one back.

    Examples:

        elias bundle rollback --reason "placement got worse"

        elias bundle rollback --to 2026.09
    """
    from federation.bundles.history import before  # noqa: PLC0415

    if digest and to:
        raise Refused("usage", "a digest or a version, not both", cure="leave one out")
    api = Api(settings_of(context))
    wanted = digest or to
    if not wanted:
        entries = api.get("/v1/bundle/history", limit=500)["bundles"]
        wanted = before([entry["digest"] for entry in entries], api.get("/v1/bundle")["digest"])
    words = {"to": wanted, "reason": reason}
    _switched(api.post("/v1/bundle/rollback", words), json_)


def _switched(found: dict[str, Any], json_: bool) -> None:
    if json_:
        emit(found)
    else:
        name = f"version {found['version']}, digest {found['digest']}" if found["version"] else found["digest"]
        by = f", signed by {', '.join(found['signers'])}" if found["signers"] else ""
        print(f"{'in force' if found['changed'] else 'in force already'}: {name}{by}")
        if found["uncovered"] and found["changed"]:
            say(uncovered_words(found["uncovered"]))
        for manager, why in found["refused"].items():
            say(f"{manager} goes on with what was in force before: {why}")
    if found["refused"]:
        raise typer.Exit(1)


def history(
    context: typer.Context,
    number: Annotated[int, typer.Option("--number", "-n", min=1, max=10_000, help="How many.")] = 20,
    json_: Json = False,
) -> None:
    """What was in force, newest first, and by whose word. Reads the ledger: works with everything down.

    Example:

        elias bundle history
    """
    from federation.bundles.history import history as past  # noqa: PLC0415 - SQLAlchemy takes a quarter of a second
    from federation.ledger.store import Store  # noqa: PLC0415
    from managers.uim.reading import iso  # noqa: PLC0415

    store = Store.open(settings_of(context).ledger_url, read_only=True)
    try:
        found = past(store, number)
    finally:
        store.close()
    if json_:
        emit([entry._asdict() | {"time": iso(entry.time)} for entry in found])
        return
    columns = ("record", "time", "digest", "version", "from", "signatures", "by", "reason")
    table(columns, map(_row, found), "none was ever in force")


def _row(entry: "Entry") -> tuple[Any, ...]:
    from datetime import datetime  # noqa: PLC0415

    time = f"{datetime.fromtimestamp(entry.time / 1e9).astimezone():%Y-%m-%d %H:%M:%S}"
    words = (entry.version, entry.origin, entry.signatures or "", entry.by, entry.reason)
    return entry.seq, time, entry.digest[:12], *words


def _record(given: "Artefact", reason: str) -> "BundleText":
    from federation.bundles.acceptance import record_of  # noqa: PLC0415

    return record_of(given, origin="file", by=getpass.getuser(), reason=reason)
