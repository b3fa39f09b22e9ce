"""Files that only their owner reads."""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Replaces the file in one piece, durably: a reader, also one after a crash, finds the old content or the new."""
    write_pieces(path, (content,))


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """The same, of what is too large to be held at once. Where a piece cannot be had, the old content stays."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")  # nobody else's, in a folder that others write to
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
