"""Random secrets of 256 bits. Nobody can try them all, as they could passwords, so a fast hash keeps them."""

import hashlib
import secrets


def make() -> str:
    return secrets.token_urlsafe(32)


def key(secret: str) -> bytes:
    """What is stored in place of a secret, and found by it."""
    return hashlib.sha256(secret.encode()).digest()
