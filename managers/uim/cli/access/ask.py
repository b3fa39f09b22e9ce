"""Passwords, asked for without showing them; where nobody sits, a line of standard input each."""

import getpass
import sys

from federation.errors import Refused


def password(label: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"{label}: ")
    return sys.stdin.readline().rstrip("\n")


def new_password(label: str) -> str:
    """Asked for twice where somebody types. Raises Refused when the two differ."""
    given = password(label)
    if sys.stdin.isatty() and given != password(f"{label}, again"):
        raise Refused("two-passwords", "these were two different passwords", cure="try again")
    return given
