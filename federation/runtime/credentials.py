"""What a machine proves itself with to the others of its cluster: the token of Ray, and certificates for TLS.

Those of the cluster that begins here and those of one that was joined lie apart: neither is ever taken for the other.
"""

import secrets
import shutil
from pathlib import Path

from federation import privatefile
from federation.runtime import certificates
from federation.runtime.certificates import Authority


def token_file(state: Path, *, head: bool = True) -> Path:
    return state / ("ray.token" if head else "joined.token")


def tls_folder(state: Path, *, head: bool = True) -> Path:
    """Not there where the cluster does without TLS."""
    return state / ("ray.tls" if head else "joined.tls")


def environment(state: Path, *, head: bool = True) -> dict[str, str]:
    """For Ray, and for every program that speaks with it."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file(state, head=head).resolve())}
    return token | certificates.environment(tls_folder(state, head=head))


def begin(state: Path, address: str, *, tls: bool) -> None:
    """For the head at this address: what is not there is made. A cluster that has certificates keeps to them, whatever
    `tls` says this time."""
    if not token_file(state).exists():
        privatefile.write(token_file(state), secrets.token_hex(32).encode())
    authority = Authority.of(tls_folder(state))
    if authority is None and tls:
        authority = Authority.made()
        authority.keep(tls_folder(state))
    if authority is not None:
        authority.issue(tls_folder(state), address)


def join(state: Path, address: str, token: str, authority: Authority | None) -> None:
    """For a node at this address."""
    forget(state)
    privatefile.write(token_file(state, head=False), token.encode())
    if authority is not None:
        authority.issue(tls_folder(state, head=False), address)


def forget(state: Path) -> None:
    """What was for a cluster that this machine had joined."""
    token_file(state, head=False).unlink(missing_ok=True)
    shutil.rmtree(tls_folder(state, head=False), ignore_errors=True)
