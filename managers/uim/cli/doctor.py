"""doctor, support: what is wrong on this machine, and a file about it for whoever is asked for help."""

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from managers.uim.cli.client import settings_of
from managers.uim.cli.output import Json, emit, progress, say, table

if TYPE_CHECKING:
    from managers.uim.doctor.finding import Finding

_TONES = {"error": "red", "warning": "yellow", "note": "dim", "ok": "green"}


def add_to(app: typer.Typer) -> None:
    app.command()(doctor)
    app.command()(support)


def doctor(context: typer.Context, json_: Json = False) -> None:
    """Look at this machine and what runs on it, and say what is wrong, and what to do about it.

    It works with everything down, on a head and on a node that joined, and changes nothing. What the settings name is
    connected to; no model is asked, and no key is sent. Exit code 1 where it finds an error. Each code is explained in
    docs/operate/doctor.md.

    Examples:

        elias doctor

        elias doctor --json | jq '.findings[] | select(.severity == "error")'
    """
    from managers.uim.doctor import checks  # noqa: PLC0415 - a second, for the managers' points

    with progress("looking") as told:
        found = checks.examine(lambda: settings_of(context), told)
    counts = Counter(one.severity.value for one in found)
    if json_:
        emit({"findings": [asdict(one) for one in found], "counts": counts})
    else:
        _show(found)
        say(", ".join(f"{counts[one]} {one}{_plural(one, counts[one])}" for one in _TONES if one in counts))
    if checks.failed(found):
        raise typer.Exit(1)


def _plural(severity: str, count: int) -> str:
    return "" if severity == "ok" or count == 1 else "s"


def _show(found: "list[Finding]") -> None:
    """One line each, tab-separated, where no terminal is; else the cure below what was seen."""
    if not sys.stdout.isatty():
        table((), [(one.severity.value, one.code, one.place, one.seen, one.cure) for one in found], "")
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    shown = Table.grid(padding=(0, 2))
    for one in found:
        words = Text(f"{one.place}: {one.seen}" if one.place else one.seen)
        if one.cure and one.severity != "ok":
            words.append(f"\ncure: {one.cure}", style="dim")
        shown.add_row(Text(one.severity, style=_TONES[one.severity]), one.code, words)
    Console().print(shown)


def support(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to write it: FILE.tar.gz, mode 0600.")],
) -> None:
    """Write down what somebody needs to help you, without secrets: findings, settings, versions, logs, facts.

    Secrets, addresses, paths and names are taken out, of logs too; no record of the ledger and no output of a job is in
    it. Look at it before you send it.

    Example:

        elias support elias-support.tar.gz && tar -tzf elias-support.tar.gz
    """
    from managers.uim.doctor import bundle  # noqa: PLC0415

    with progress("collecting") as told:
        parts = bundle.write(file, lambda: settings_of(context), told)
    print(f"{file}: {len(parts)} files, {file.stat().st_size / 1024:.0f} KiB")
    say("look at it before you send it: tar -xOzf FILE | less")
