"""The token of the owner of an installation."""

import os
import pwd
import secrets
from pathlib import Path

from federation.errors import Refused


def make(state: Path) -> str:
    """The token: 32 random bytes in `STATE/token`, made at the first start, mode 0600."""
    path = state / "token"
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read(state)
    made = secrets.token_urlsafe(32)
    with os.fdopen(handle, "w") as file:
        file.write(made + "\n")
    return made


def read(state: Path) -> str:
    """The token that is there. Raises Refused when there is none, or others may have read it."""
    path = state / "token"
    try:
        mode, text = path.stat().st_mode, path.read_text().strip()
    except OSError as error:
        cure = "`elias up` makes it at its first start; `--config` names another installation"
        raise Refused("no-token", error.strerror or str(error), place=str(path), cure=cure) from None
    if mode & 0o077:
        cure = f"`chmod 600 {path}`; if others could read it, remove it instead and start again for a new one"
        raise Refused("token-mode", "the token can be read by other users", place=str(path), cure=cure)
    if len(text) < 32:
        cure = "remove the file and start again for a new one"
        raise Refused("token-short", "the token is too short to be one", place=str(path), cure=cure)
    return text


def owner(state: Path) -> str:
    """The user of this machine whom the token belongs to: only they, and root, can have read it."""
    uid = (state / "token").stat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container without a name for its user
        return f"uid {uid}"
