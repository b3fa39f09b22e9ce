"""Where an ELIAS with a simulated world lives: a folder and a port of its own."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[
    Path | None, typer.Option(help="Keep ledger, specs and settings here; else they are removed at the end.")
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0: 8650, or any that is free.")]


@contextlib.contextmanager
def kept(folder: Path | None) -> Iterator[Path]:
    """The folder, or one that is removed at the end."""
    if folder is not None:
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="elias-demo-", ignore_cleanup_errors=True) as made:
        yield Path(made) / "demo"
