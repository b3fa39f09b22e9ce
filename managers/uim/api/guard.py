"""Who may in: the token, by header or cookie, under which names; and the headers that keep a browser safe."""

import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from federation.errors import Refused
from managers.uim import tokens
from managers.uim.access import Person, Role
from managers.uim.api import envelope
from managers.uim.api.context import Context

COOKIE = "elias"
LARGE = 4 << 20  # bytes of a request that carries events, or a bundle
SMALL = 64 << 10  # of any other
OPEN = frozenset({"/healthz", "/login"})
OPEN_BELOW = "/static/"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})

# `same-origin` and not `no-referrer`: under that one a browser sends `Origin: null` with our own forms.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, here: Context) -> None:
        self.app = app
        listen, token = here.settings.listen, here.token
        self.hosts = _LOOPBACK | {listen.host, *listen.hosts}
        self.bearer = f"Bearer {token}".encode()
        self.cookie = tokens.cookie_of(token)
        owner, admin = tokens.owner(here.settings.state), Role.ADMIN
        self.by_token = Person(owner, admin, admin.scopes, "first-day token")
        self.by_cookie = Person(owner, admin, admin.scopes, "session")
        self.large = frozenset({"/v1/events", "/v1/bundle"})
        self.refused = here.refused
        self.blocked = here.blocked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        limit = LARGE if scope["path"] in self.large else SMALL
        try:
            person = self._check(scope)
            _measure(scope, limit)
        except Refused as problem:
            answer = _to_login(scope) if problem.code == "token" else None
            await (answer or envelope.of_elias(problem))(scope, receive, guarded)
            return
        scope.setdefault("state", {})["person"] = person
        await self.app(scope, _limited(receive, limit), guarded)

    def _check(self, scope: Scope) -> Person | None:
        """Who asks; None on the paths that are open."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name(host) not in self.hosts:
            cure = "use http://127.0.0.1, or add the name to `listen.hosts` in elias.yaml"
            raise Refused("host", f"this service does not go by the name `{host}`", place="Host", cure=cure)
        address = scope["client"][0] if scope.get("client") else ""
        if self.blocked(address):
            cure = "it ends after a minute without a request"
            raise Refused("blocked", "this address sent too many wrong tokens", place=address, cure=cure)
        given = headers.get("authorization")
        by_cookie = given is None and self._cookie(headers)
        is_open = scope["path"] in OPEN or scope["path"].startswith(OPEN_BELOW)
        if scope["method"] not in _SAFE and (by_cookie or is_open):
            self._origin(headers, host)
        if is_open:
            return None
        if by_cookie:
            return self.by_cookie
        if given is None or not hmac.compare_digest(given.encode("utf-8", "replace"), self.bearer):
            if given is not None:
                self.refused(address)
            what = "this is not the token" if given else "a token is needed"
            cure = "send `Authorization: Bearer TOKEN`; `elias token` prints it"
            raise Refused("token", what, place="Authorization", cure=cure)
        return self.by_token

    def _cookie(self, headers: Headers) -> bool:
        raw = headers.get("cookie")
        if raw is None:
            return False
        try:
            found = SimpleCookie(raw).get(COOKIE)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode("utf-8", "replace"), self.cookie.encode())

    @staticmethod
    def _origin(headers: Headers, host: str) -> None:
        origin = headers.get("origin", "")
        if urlsplit(origin).netloc != host or not host:
            what = f"a page of `{origin or 'nowhere'}` may not do this"
            raise Refused("origin", what, place="Origin", cure="use the page of ELIAS itself")


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def _measure(scope: Scope, limit: int) -> None:
    """Refuses a body by its announced length, before any of it is read."""
    length = Headers(scope=scope).get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise Refused("too-large", _too_large(limit), place="body", cure="send it in several requests")


def _limited(receive: Receive, limit: int) -> Receive:
    """Reads no further than the limit, whatever was announced."""
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise HTTPException(413, _too_large(limit))
        return message

    return limited


def _too_large(limit: int) -> str:
    return f"the body has more than {limit} bytes"


def _to_login(scope: Scope) -> RedirectResponse | None:
    """A person with a browser is shown where to give the token."""
    if scope["method"] == "GET" and "text/html" in Headers(scope=scope).get("accept", ""):
        return RedirectResponse("/login", 303)
    return None
