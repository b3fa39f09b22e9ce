"""Who has signed in on this machine with `elias login`: one file of that user, mode 0600."""

import json
import os
from pathlib import Path
from typing import NamedTuple

from federation import privatefile
from federation.errors import Refused


class Signed(NamedTuple):
    """url: of the installation. cert: PEM text of the certificate that was agreed on; empty: any that is trusted."""

    url: str
    name: str
    session: str
    cert: str = ""


def path() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "elias" / "login.json"


def read() -> Signed | None:
    """Raises Refused where others may read the file, or it is not one of ours."""
    try:
        mode, text = path().stat().st_mode, path().read_text()
    except OSError:
        return None
    if mode & 0o077:
        cure = "remove it and sign in again"
        raise Refused("login-mode", "the session can be read by other users", place=str(path()), cure=cure)
    try:
        return Signed(**json.loads(text))
    except (TypeError, ValueError) as error:
        cure = "remove it and sign in again"
        raise Refused("login-file", str(error), place=str(path()), cure=cure) from None


def write(signed: Signed) -> None:
    path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    privatefile.write(path(), json.dumps(signed._asdict()).encode())


def remove() -> None:
    path().unlink(missing_ok=True)
