"""What proves that a form was on our own page: a token made of the session, which no other page can know.

The guard asks for it with everything that a session changes: in the field `csrf` of a form, or in the header
`X-Elias-Csrf`. A bearer token is proof enough by itself, for no browser sends one on its own.
"""

import hashlib
import hmac
from contextvars import ContextVar
from urllib.parse import parse_qs

from markupsafe import Markup

FIELD = "csrf"
HEADER = "x-elias-csrf"
FIELDS = 2000  # of a form; more are refused

current: ContextVar[str] = ContextVar("csrf", default="")
"""Of the session that this request came in by; empty: none did."""


def of(session: str) -> str:
    """The token of a session, by its id."""
    return hmac.new(session.encode(), b"elias csrf", hashlib.sha256).hexdigest()


def field() -> Markup:
    """The hidden field of a form, as the Jinja global `csrf()`."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, current.get())


def in_form(body: bytes) -> str:
    """The token that a form carries; empty where there is none, or the body is no form."""
    try:
        found = parse_qs(body.decode(), max_num_fields=FIELDS).get(FIELD, [])
    except ValueError:
        return ""
    return found[0] if len(found) == 1 else ""


def right(given: str, session: str) -> bool:
    return hmac.compare_digest(given.encode(), of(session).encode())
