"""ledger backup, restore: a copy of all that cannot be made anew, and the way back."""

import os
import pwd
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.errors import Refused
from managers.uim.cli.client import settings_of
from managers.uim.cli.ledger.shared import Url, reading
from managers.uim.cli.output import Json, emit, progress, say

if TYPE_CHECKING:
    from federation.settings import Settings

LedgerOnly = Annotated[bool, typer.Option("--ledger-only", help="Without the files of the state folder.")]


def backup(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="A new file, or a folder, where it is named by its time.")] = Path(),
    ledger_only: LedgerOnly = False,
    url: Url = "",
    json_: Json = False,
) -> None:
    """Copy the ledger into one file while ELIAS runs, with what the state folder holds that it could not make anew.

    Every hash is computed again meanwhile: of a ledger that does not hold there is no back-up. The file holds secrets,
    and is readable by you alone. With `--url` it is that ledger, without the state folder of this one.

    Examples:

        elias ledger backup /var/backups/elias

        elias ledger verify /var/backups/elias/elias-20260131T031500Z.backup
    """
    from federation.clock import SECOND, SystemClock  # noqa: PLC0415 - SQLAlchemy takes a quarter of a second
    from federation.ledger.backup import archive, taking  # noqa: PLC0415
    from managers.uim.cli.ledger import state  # noqa: PLC0415

    made = SystemClock().now()
    named = f"elias-{datetime.fromtimestamp(made // SECOND, UTC):%Y%m%dT%H%M%SZ}{archive.ENDING}"
    path = target / named if target.is_dir() else target
    files = 0
    with reading(context, url) as store, archive.writing(path) as writer:
        with progress("records") as shown:
            head = taking.take(store, writer, made, shown)
        if not (ledger_only or url):
            with progress("files") as shown:
                files = state.save(settings_of(context), writer, shown)
    size = path.stat().st_size
    if json_:
        found = {"file": str(path), "bytes": size, "size": head.size, "root": head.root.hex(), "epoch": head.epoch}
        emit({**found, "files": files})
        return
    say(f"{head.size} records and {files} files of the state folder, {size / 1e6:.1f} MB")
    print(path)
    print(f"witness: {head.size}:{head.root.hex()}")


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="What `elias ledger backup` wrote.")],
    aside: Annotated[
        bool, typer.Option("--aside", help="Keep the ledger that is there under another name, and replace it.")
    ] = False,
    ledger_only: LedgerOnly = False,
    url: Url = "",
    json_: Json = False,
) -> None:
    """Put a back-up in the place of the ledger, verified as a whole before, while ELIAS is down.

    A ledger that holds records stays, unless `--aside` keeps it under another name; of the state folder, what is there
    stays. With `--url` it is that ledger alone, in SQLite or PostgreSQL, wherever the back-up comes from. Afterwards
    `elias up` goes on from there, under an epoch that nobody held before.

    Examples:

        elias ledger restore /var/backups/elias/elias-20260131T031500Z.backup --aside

        elias ledger restore /var/backups/elias/elias-20260131T031500Z.backup --url sqlite:////tmp/rehearsal.db
    """
    from federation.clock import SystemClock  # noqa: PLC0415
    from federation.ledger.backup import restoring  # noqa: PLC0415
    from federation.ledger.backup.archive import Reader  # noqa: PLC0415
    from managers.uim.cli.ledger import state  # noqa: PLC0415

    os.umask(0o077)
    put = state.Put([], [], 0)

    def beside() -> None:
        nonlocal put
        if not (ledger_only or url):
            with Reader(file) as reader:
                put = state.load(settings, reader)

    settings = settings_of(context)
    if not url:
        _may(settings)
        settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with progress("records") as shown:
        found = restoring.restore(
            file, url or settings.ledger_url, SystemClock(), aside=aside, beside=beside, progress=shown
        )
    if json_:
        head = {"size": found.head.size, "root": found.head.root.hex(), "epoch": found.epoch, "aside": found.aside}
        emit({**head, "files": put.files, "there": put.there, "accounts": put.accounts})
        return
    print(f"{found.head.size} records hold, root {found.head.root.hex()}")
    if found.aside:
        say(f"what was there is kept: {found.aside}")
    if not (ledger_only or url):
        say(f"{len(put.files)} files and {put.accounts} accounts put into the state folder")
    for name in put.there:
        say(f"stays as it is: {name}")


def _may(settings: "Settings") -> None:
    """Refused: ELIAS runs, or it could not read afterwards what this user writes."""
    from managers.uim import launch  # noqa: PLC0415

    pid = launch.running(settings)
    if pid is not None:
        what = f"ELIAS runs (process {pid})"
        raise Refused("running", what, place=str(settings.state), cure="`elias down` first")
    owner = settings.state.stat().st_uid if settings.state.exists() else os.geteuid()
    if owner != os.geteuid():
        what = "the state folder belongs to another user, who could not read what is restored"
        cure = f"run it as {_name(owner)}"
        raise Refused("other-user", what, place=str(settings.state), cure=cure)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user with the number {uid}"
