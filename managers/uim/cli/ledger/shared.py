"""What the commands of the ledger share: which one it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from managers.uim.cli.client import settings_of

if TYPE_CHECKING:
    from federation.ledger.store import Store

Url = Annotated[str, typer.Option("--url", help="Another ledger: a file or a database URL.")]


@contextmanager
def reading(context: typer.Context, url: str) -> "Iterator[Store]":
    """The ledger of this installation, or the one at the URL."""
    from federation.ledger.store import Store  # noqa: PLC0415 - SQLAlchemy takes a quarter of a second

    store = Store.open(url or settings_of(context).ledger_url, read_only=True)
    try:
        yield store
    finally:
        store.close()
