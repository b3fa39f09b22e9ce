"""Coming in and going out: by name and password, by a one-time link, by the token of this machine, or by an identity
provider.
"""

import asyncio
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from federation.errors import EliasError, Refused
from federation.records import Access
from managers.uim.access import Person, keeping, needs
from managers.uim.access.oidc import MINUTES
from managers.uim.access.throttle import TooSoon
from managers.uim.api import context, envelope
from managers.uim.api.guard import cookie_name
from managers.uim.web import render

router = APIRouter(include_in_schema=False)
AWAY = "elias-oidc"  # the cookie of a browser whose user is at the identity provider
BACK = "/login/oidc/done"
_LABEL_LONGEST = 200


@router.get("/login")
async def login_page(request: Request, next: str = "/", link: str = "") -> Response:
    return _form(request, next, link=link[:256])


@router.post("/login")
async def login(request: Request) -> Response:
    here, form = context.of(request), await render.form(request)
    next, name, link = form.one("next", 4000), form.one("name"), form.one("link")
    address = request.state.address
    try:
        if name:
            account = await keeping.sign_in(
                here.access, here.refused, here.audit, name, verbatim(form, "password"), address
            )
            return await _signed_in(request, account.name, next)
        await keeping.sign_in_owner(here.access, here.refused, here.audit, link, form.one("token"), address)
    except EliasError as error:
        return _form(request, next, error=error)
    return await _signed_in(request, "", next)


@router.get("/login/oidc")
async def leave(request: Request, next: str = "/") -> Response:
    """To the identity provider."""
    provider = context.of(request).access.oidc
    try:
        if provider is None:
            cure = "`access.oidc` in elias.yaml sets one up"
            raise Refused("no-oidc", "this installation has no identity provider", cure=cure)
        address, begun = await provider.begin(_address(request, BACK), inside(next))
    except EliasError as error:
        return _form(request, next, error=error)
    response = RedirectResponse(address, 303)
    # Lax: it must come along when the provider sends the browser back.
    response.set_cookie(
        AWAY, begun.cookie(), MINUTES * 60, path=BACK, secure=_secure(request), httponly=True, samesite="lax"
    )
    return response


@router.get(BACK)
async def come_back(request: Request) -> Response:
    here = context.of(request)
    provider = here.access.oidc
    if provider is None:
        return RedirectResponse("/login", 303)
    query = {name: value[:4096] for name, value in request.query_params.items()}
    try:
        identity, next = await provider.finish(query, request.cookies.get(AWAY, ""), _address(request, BACK))
        account = await asyncio.to_thread(here.access.accounts.provision, *identity)
    except EliasError as error:
        return _form(request, "/", error=error)
    await here.audit(Access("signed in", account.name, "oidc", request.state.address))
    response = await _signed_in(request, account.name, next)
    response.delete_cookie(AWAY, path=BACK)
    return response


@router.post("/logout", dependencies=[needs()])
async def logout(request: Request) -> Response:
    person: Person = request.state.person
    if request.state.session is not None:
        sessions = context.of(request).access.sessions
        await asyncio.to_thread(sessions.end, person.account, request.state.session.id)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(cookie_name(_secure(request)), secure=_secure(request), httponly=True, samesite="lax")
    return response


def inside(path: str) -> str:
    """A path of this host, for after the sign-in; `/` for whatever would lead elsewhere or back here."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and "\\" not in path and path.isprintable()
    return path if plain and len(path) <= 2000 and not path.startswith(("/login", "/logout")) else "/"


def _form(request: Request, next: str, *, link: str = "", error: EliasError | None = None) -> Response:
    answer = envelope.of_elias(error) if error else None
    oidc = context.of(request).settings.access.oidc
    away = f"/login/oidc?{urlencode({'next': inside(next)}, quote_via=quote)}" if oidc else ""
    response = render.page(
        request,
        "login.html",
        status=answer.status_code if answer else 200,
        next=inside(next),
        link=link,
        provider=oidc.label if oidc else "",
        away=away,
        error=error.message if isinstance(error, Refused) else str(error) if error else "",
        cure=error.cure if isinstance(error, Refused) else "",
    )
    if isinstance(error, TooSoon) and answer:
        response.headers["Retry-After"] = answer.headers["Retry-After"]
    return response


async def _signed_in(request: Request, account: str, next: str) -> Response:
    """A new session in place of whatever the browser came with."""
    here, name = context.of(request), cookie_name(_secure(request))
    before, agent = request.cookies.get(name, ""), request.headers.get("user-agent", "")[:_LABEL_LONGEST]
    session = await asyncio.to_thread(here.access.sessions.begin, account, request.state.address, agent, before)
    response = RedirectResponse(inside(next), 303)
    # Lax, so that a link in a notification opens its case; what changes something asks for the token of its form.
    most = round(here.settings.access.session_most)
    response.set_cookie(name, session, most, secure=_secure(request), httponly=True, samesite="lax")
    return response


def _secure(request: Request) -> bool:
    return context.of(request).settings.listen.secure


def _address(request: Request, path: str) -> str:
    """The address of a path as the browser knows it: the guard has checked the host."""
    return f"{'https' if _secure(request) else 'http'}://{request.headers['host']}{path}"


def verbatim(form: render.Form, name: str) -> str:
    """A password as it was typed, blanks and all."""
    return (form.all(name) or [""])[-1]
