"""export: what people answered, as examples to learn from."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, TextIO

import typer

from managers.uim.cli.client import settings_of
from managers.uim.cli.output import progress, say


def export(
    context: typer.Context,
    format: Annotated[
        Literal["jsonl", "csv"], typer.Option("--format", "-f", help="A line for each example.")
    ] = "jsonl",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; by default standard output.")] = None,
    point: Annotated[str, typer.Option(help="Only of this decision point.")] = "",
    url: Annotated[str, typer.Option("--url", help="Another ledger: a file or a database URL.")] = "",
) -> None:
    """What people answered, as labelled examples: facts, candidates, the policy's probabilities, the choice, its
    author, the reason, and what came of it. Read from the ledger, with everything down.

    Examples:

        elias cases export > examples.jsonl

        elias cases export --format csv --point ufm.node_health --out examples.csv
    """
    from federation.ledger.store import Store  # noqa: PLC0415 - SQLAlchemy takes a quarter of a second
    from managers.uim.cases.export import examples, write  # noqa: PLC0415 - with it

    store = Store.open(url or settings_of(context).ledger_url, read_only=True)
    try:
        with progress("reading the ledger") as told, _written(out) as file:
            count = write(file, examples(store, [point] if point else [], told), format)
    finally:
        store.close()
    say(f"{count} examples")


@contextmanager
def _written(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    with out.open("w", encoding="utf-8", newline="") as file:
        yield file
