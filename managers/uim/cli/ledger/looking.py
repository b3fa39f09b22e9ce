"""ledger tail, export: the records, to read."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from managers.uim.cli.ledger.shared import Url, reading
from managers.uim.cli.output import Json, progress, say

if TYPE_CHECKING:
    from federation.records import Record


def tail(
    context: typer.Context,
    number: Annotated[int, typer.Option("--number", "-n", min=1, max=100_000, help="How many records.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones, until Ctrl-C.")] = False,
    point: Annotated[str, typer.Option(help="Only of this decision point.")] = "",
    url: Url = "",
    json_: Json = False,
) -> None:
    """The newest records, oldest first.

    Examples:

        elias ledger tail -f

        elias ledger tail -n 1000 --point ufm.placement --json | jq .body.choice
    """
    points = [point] if point else []
    with reading(context, url) as store:
        last = store.head().size
        for record in reversed(store.latest(number, points=points, before=last + 1)):
            _show(record, json_)
        while follow:
            time.sleep(0.5)
            head = store.head().size
            for record in store.read(after=last, upto=head, points=points):
                _show(record, json_)
            last = head


def _show(record: "Record", json_: bool) -> None:
    from managers.uim.reading import iso  # noqa: PLC0415

    header = record.header
    if json_:
        fields = {name: getattr(header, name) for name in header.__struct_fields__}
        print(json.dumps({**fields, "body": json.loads(record.body)}, ensure_ascii=False), flush=True)
        return
    about = " ".join(filter(None, (header.point, header.subject, header.decision)))
    body = record.body.decode()
    print(
        f"{header.seq} {iso(header.time)} {header.writer} {header.kind} {about} {body[:160]}".replace("  ", " "),
        flush=True,
    )


def export(
    context: typer.Context,
    output: Annotated[Path, typer.Argument(help="A file; `-` is standard output.")] = Path("-"),
    format: Annotated[
        Literal["jsonl", "audit"], typer.Option(help="Lines to read, or with a proof for each.")
    ] = "jsonl",
    decision: Annotated[str, typer.Option(help="Only the records of this decision.")] = "",
    url: Url = "",
) -> None:
    """The log for others: JSON lines, or an audit bundle that proves itself without the ledger.

    Examples:

        elias ledger export ledger.jsonl

        elias ledger export --format audit --decision 3f9a1c0b5d2e4f60718293a4b5c6d7e8 proof.jsonl
    """
    from federation.ledger import export as exporting  # noqa: PLC0415

    with reading(context, url) as store, progress("records") as shown:
        if str(output) == "-":
            count = exporting.export(store, sys.stdout, format, shown, decision=decision or None)
        else:
            with output.open("w", encoding="utf-8") as file:
                count = exporting.export(store, file, format, shown, decision=decision or None)
    say(f"{count} records")
