"""Files that only their owner reads."""

import os
import secrets
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Replaces the file in one piece, durably: a reader, also one after a crash, finds the old content or the new."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(8)}")  # nobody else's, in a folder that others write to
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
