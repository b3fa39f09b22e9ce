"""Passwords: what is taken for one, and argon2id (RFC 9106), which makes guessing from a stolen hash expensive."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from federation.errors import Refused

SHORTEST, LONGEST = 15, 256
"""Characters. NIST SP 800-63B-4 (3.1.1.2) asks for 15 where the password is all, and for no rules on their kind."""

_hasher = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


def check(password: str, name: str) -> None:
    """Raises Refused for what is guessed first."""
    if not SHORTEST <= len(password) <= LONGEST:
        cure = "three or four words that do not belong together make a good one"
        what = f"a password has {SHORTEST} to {LONGEST} characters, this one {len(password)}"
        raise Refused("weak-password", what, place="password", cure=cure)
    plain = password.casefold()
    for word in (name, "elias", "password"):
        plain = plain.replace(word.casefold(), "")
    if len(set(plain)) < 5:
        what = "this password is little more than a name, or a few characters again and again"
        raise Refused("weak-password", what, place="password", cure="choose another one")


def hashed(password: str) -> str:
    """The PHC string of a password, with its salt and parameters."""
    return _hasher.hash(password)


def matches(stored: str, password: str) -> bool:
    """Whether it is the password. Without a stored one the same time is spent, so that nobody learns who has one."""
    try:
        return _hasher.verify(stored or _NOBODYS, password) and bool(stored)
    except (VerificationError, InvalidHashError):
        return False


def outdated(stored: str) -> bool:
    """Whether it was hashed with other parameters than those of now."""
    return _hasher.check_needs_rehash(stored)


_NOBODYS = _hasher.hash("the password of nobody")
