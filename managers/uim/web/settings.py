"""What this installation is set to, and what this browser prefers."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from federation.errors import Refused
from managers.uim.access import Scope, needs
from managers.uim.api import context
from managers.uim.web import render

router = APIRouter(include_in_schema=False)
YEAR = 365 * 86400  # seconds
CHOICES = {"elias-theme": ("auto", "light", "dark"), "elias-keys": ("on", "off")}
_SECRET = ("url", "uri", "endpoint", "key_file", "secret_env")  # may carry a password, or say where one is


@router.get("/settings", dependencies=[needs(Scope.READ)])
async def settings(request: Request) -> Response:
    here = context.of(request)
    return render.page(request, "settings.html", rows=rows(here.settings.model_dump(mode="json")))


@router.post("/settings", dependencies=[needs(Scope.READ)])
async def prefer(request: Request) -> Response:
    form = await render.form(request)
    chosen = {cookie: form.one(cookie.removeprefix("elias-"), 16) for cookie in CHOICES}
    if any(value and value not in CHOICES[cookie] for cookie, value in chosen.items()):
        cure = "use the form of the page"
        return render.message(request, Refused("bad-form", "that cannot be chosen", cure=cure))
    response = render.back(request, "This browser keeps that.")
    for cookie, value in chosen.items():
        if value:
            response.set_cookie(cookie, value, max_age=YEAR, samesite="strict", httponly=True)
    return response


def rows(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Every setting by its dotted name, in the order of the page of settings; what may hold a secret is left out."""
    found: list[tuple[str, str]] = []
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            found += rows(value, f"{prefix}{name}.")
        elif name in _SECRET and value:
            found.append((f"{prefix}{name}", "set; not shown"))
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            found.append((f"{prefix}{name}", "" if shown is None else str(shown)))
    return found
