"""Who may in: by a bearer token or a session, under which names; and the headers that keep a browser safe.

What each route needs beyond that it says itself (`managers.uim.access.needs`). Everything that a request changes is put
on record here, so that no route can forget it.
"""

import asyncio
import logging
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from federation.errors import EliasError, Refused
from federation.records import Access
from managers.uim.access import Person, csrf
from managers.uim.api import envelope
from managers.uim.api.context import Context

LARGE = 4 << 20  # bytes of a request that carries events, or a bundle
SMALL = 64 << 10  # of any other
OPEN = frozenset({"/healthz", "/login", "/login/oidc", "/login/oidc/done", "/v1/login"})
OPEN_BELOW = "/static/"
ON_RECORD = 2.0  # seconds that an answer waits for its record: a freeze must not wait for the ledger
_LARGE_PATHS = frozenset({"/v1/events", "/v1/alertmanager", "/v1/bundle"})
_OWN_RECORD = frozenset({"/v1/events"})  # each event is on record by itself, with its source
_BY_PROGRAM = frozenset({"/v1/login"})  # answers without a cookie, so a page of another origin gains nothing
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
_FORM = "application/x-www-form-urlencoded"
_log = logging.getLogger(__name__)

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
    """ASGI middleware. Sets `request.state`: `person` (None on an open path), `address`, and `session` (its public id
    and account) where the person came in by one. A handler may say in `request.state.did` what it did, for the record.
    """

    def __init__(self, app: ASGIApp, here: Context) -> None:
        self.app = app
        self.here = here
        listen = here.settings.listen
        self.hosts = _LOOPBACK | {listen.host, *listen.hosts}
        if listen.url:
            self.hosts |= {urlsplit(listen.url).hostname or ""}
        self.cookie = cookie_name(listen.secure)
        self.headers = dict(_HEADERS)
        if listen.cert is not None:  # of our own making it would turn other services of this host away
            self.headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})
        state |= {"person": None, "session": None, "did": "", "address": self._address(scope)}

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
                await self._record(scope, message["status"])
            await send(message)

        limit = LARGE if scope["path"] in _LARGE_PATHS else SMALL
        receive = _limited(receive, limit)
        try:
            self._expected(scope)
            _measure(scope, limit)
            if not is_open(scope["path"]):
                receive = await self._enter(scope, receive)
        except (EliasError, HTTPException) as problem:
            await self._turned_away(scope, problem)(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)

    def _address(self, scope: Scope) -> str:
        if self.here.settings.listen.behind_proxy:
            said = Headers(scope=scope).getlist("x-forwarded-for")
            if said:  # the last one is the proxy's own word, those before are the client's
                return said[-1].rpartition(",")[2].strip()[:64]
        return scope["client"][0] if scope.get("client") else ""

    def _expected(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host, address = headers.get("host", ""), scope["state"]["address"]
        if _name(host) not in self.hosts:
            cure = "use http://127.0.0.1, or add the name to `listen.hosts` in elias.yaml"
            raise Refused("host", f"this service does not go by the name `{host}`", place="Host", cure=cure)
        if self.here.blocked(address):
            cure = "it ends after a minute without a request"
            raise Refused("blocked", "this address sent too many wrong tokens", place=address, cure=cure)
        if scope["method"] not in _SAFE and is_open(scope["path"]) and scope["path"] not in _BY_PROGRAM:
            _origin(headers, host)

    async def _enter(self, scope: Scope, receive: Receive) -> Receive:
        """Sets the person, or raises Refused."""
        headers, state = Headers(scope=scope), scope["state"]
        given = headers.get("authorization")
        if given is not None:
            kind, _, token = given.partition(" ")
            entered = await self.here.access.by_bearer(token) if kind.lower() == "bearer" else None
            if entered is None:
                self.here.refused(state["address"])
                raise _nobody("this is not the token")
            state["person"], state["session"] = entered
            return receive
        id = cookie_parser(headers.get("cookie", "")).get(self.cookie, "")
        entered = await self.here.access.by_session(id) if id else None
        if entered is None:
            raise _nobody("a token is needed")
        state["person"], state["session"] = entered
        csrf.current.set(csrf.of(id))
        if scope["method"] in _SAFE:
            return receive
        _origin(headers, headers.get("host", ""))
        return await _meant(headers, receive, id)

    def _turned_away(self, scope: Scope, problem: EliasError | HTTPException) -> ASGIApp:
        if isinstance(problem, HTTPException):
            return envelope.of_http(problem, scope["path"])
        page = scope["method"] == "GET" and not scope["path"].startswith("/v1/")
        asked_by_browser = page and "text/html" in Headers(scope=scope).get("accept", "")
        if isinstance(problem, Refused) and problem.code == "token" and asked_by_browser:
            path = scope["path"] + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
            return RedirectResponse("/login" if path == "/" else f"/login?next={quote(path, safe='')}", 303)
        return envelope.of_elias(problem)

    async def _record(self, scope: Scope, status: int) -> None:
        """What changed something, or was forbidden to a person who tried, is on record before it is answered."""
        state = scope["state"]
        person: Person | None = state["person"]
        if (
            person is None
            or scope["method"] in _SAFE
            or scope["path"] in _OWN_RECORD
            or (status >= 400) != (status == 403)
        ):
            return
        what = f"{scope['method']} {scope['path'][:200]}"
        word = Access(what, person.name, person.via, state["address"], status, state["did"][:500])
        try:
            await asyncio.wait_for(self.here.audit(word), ON_RECORD)
        except (EliasError, TimeoutError) as error:
            _log.warning("not on record: %s by %s from %s: %s", what, person.name, word.address, error)


def cookie_name(secure: bool) -> str:
    """With the prefix a browser takes it from this very host alone, and only over HTTPS."""
    return "__Host-elias" if secure else "elias"


def is_open(path: str) -> bool:
    """Whether nobody has to have signed in."""
    return path in OPEN or path.startswith(OPEN_BELOW)


def _nobody(what: str) -> Refused:
    cure = "sign in at /login, or send `Authorization: Bearer TOKEN`; `elias tokens new` makes one"
    return Refused("token", what, place="Authorization", cure=cure)


def _origin(headers: Headers, host: str) -> None:
    origin = headers.get("origin", "")
    if urlsplit(origin).netloc != host or not host:
        what = f"a page of `{origin or 'nowhere'}` may not do this"
        raise Refused("origin", what, place="Origin", cure="use the page of ELIAS itself")


async def _meant(headers: Headers, receive: Receive, session: str) -> Receive:
    """Sees that the page of this very session sent it: raises Refused, or returns what gives the body again."""
    given = headers.get(csrf.HEADER, "")
    if not given and headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            body += message.get("body", b"")
            more = message.get("more_body", False)
        given = csrf.in_form(body)
        receive = _again(body, receive)
    if not csrf.right(given, session):
        what = "this did not come from a page of your session"
        raise Refused("csrf", what, place=csrf.FIELD, cure="load the page again and repeat it")
    return receive


def _again(body: bytes, receive: Receive) -> Receive:
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


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
