"""The page at `/`, the page of a decision, and the forms on them. No other host is asked for anything."""

import asyncio
import hmac
import json
from collections.abc import Awaitable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from federation.clock import SECOND
from federation.errors import EliasError, Refused
from managers.uim import tokens
from managers.uim.access import Person, Scope, needs
from managers.uim.api import cases, cluster, context, envelope
from managers.uim.api.cluster import Member
from managers.uim.api.context import Context
from managers.uim.api.guard import COOKIE
from managers.uim.reading import Summary, Wanted, nanoseconds
from tiki.schema import Type
from tiki.values import show

router = APIRouter(include_in_schema=False)
HERE = Path(__file__).parent
RECENT = 25  # decisions on the first page
MONTH = 30 * 86400  # seconds that a browser stays signed in
_STATIC = {"style.css": "text/css", "live.js": "text/javascript"}
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#2f6f73"/>'
    '<path d="M5 4.5h6M5 8h4.5M5 11.5h6" stroke="#fff" stroke-width="1.6" stroke-linecap="round"/></svg>'
)


@router.get("/", dependencies=[needs(Scope.READ)])
async def home(request: Request) -> Response:
    here = context.of(request)
    members, nodes, waiting, recent, bundle = await asyncio.gather(
        _known(cluster.tree(here)),
        _known(cluster.all_nodes(here)),
        _known(cases.all_cases(here)),
        asyncio.to_thread(here.reader.page, Wanted(limit=RECENT)),
        _known(here.link.call("gate", "bundle", patience=2.0)),
    )
    return _page(
        "home.html",
        here,
        processes=None if members is None else processes(members),
        nodes=nodes,
        cases=waiting,
        decisions=recent.decisions,
        bundle=bundle,
    )


@router.get("/decisions/{id}", dependencies=[needs(Scope.READ)])
async def decision(request: Request, id: str) -> Response:
    here = context.of(request)
    try:
        found = await asyncio.to_thread(here.reader.decision, id)
    except Refused as error:
        return _message(here, error)
    try:
        explanation, why = await asyncio.to_thread(here.reader.explain, id), ""
    except Refused as error:
        explanation, why = None, str(error)
    types = {f.name: f.type for f in here.points[found.point].schema.facts} if found.point in here.points else {}
    facts = {name: _shown(types.get(name), value) for name, value in found.facts.items()}
    missing = [name for name in types if name not in found.facts]
    return _page("decision.html", here, d=found, e=explanation, why=why, facts=facts, missing=missing)


@router.post("/cases/{id}")
async def answer(request: Request, id: str, person: Annotated[Person, needs(Scope.CASES)]) -> Response:
    here, form = context.of(request), await _form(request)
    try:
        args = json.loads(form.get("args", "{}"))
        body = cases.Answer(action=form.get("action", ""), args=args, words=form.get("words", "")[:2000])
        await cases.give(here, id, body, person)
    except ValueError as error:
        return _message(here, Refused("bad-form", str(error), cure="use the form of the page"))
    except EliasError as error:
        return _message(here, error)
    return RedirectResponse("/", 303)


@router.post("/freeze")
async def freeze(request: Request, person: Annotated[Person, needs(Scope.CONTROL)]) -> Response:
    here, form = context.of(request), await _form(request)
    try:
        await cluster.switch_freeze(here, form.get("on") == "1", person.name, form.get("reason", "on the page")[:500])
    except EliasError as error:
        return _message(here, error)
    return RedirectResponse("/", 303)


@router.get("/login")
async def login_page(request: Request, token: str = "") -> Response:
    return _signed_in(request, token) if token else _login(request)


@router.post("/login")
async def login(request: Request) -> Response:
    return _signed_in(request, (await _form(request)).get("token", "").strip())


@router.post("/logout", dependencies=[needs(Scope.READ)])
async def logout() -> Response:
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE)
    return response


@router.get("/static/icon.svg")
async def icon() -> Response:
    return Response(_ICON, media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})


@router.get("/static/{name}")
async def static(name: str) -> Response:
    if name not in _STATIC:
        return envelope.error(404, "not-found", f"there is no file `{name}`")
    return FileResponse(HERE / name, media_type=_STATIC[name], headers={"Cache-Control": "max-age=60"})


# -- what a template is given ---------------------------------------------------------------------------------------


def processes(members: list[Member]) -> list[dict[str, Any]]:
    """The tree, flat, with its depth. A supervisor of one process is shown as that process, or as having given up."""
    below: dict[str, list[Member]] = {}
    for member in members:
        below.setdefault(member.supervisor, []).append(member)
    rows: list[dict[str, Any]] = []

    def walk(member: Member, depth: int) -> None:
        mine = below.get(member.name, [])
        if len(mine) == 1 and mine[0].name not in below and depth:
            only = mine[0]
            status = member.status if member.status == "gave up" else only.status
            rows.append({"depth": depth, "group": False, "m": only, "status": status})
            return
        rows.append({"depth": depth, "group": bool(mine) or not member.pid, "m": member, "status": member.status})
        for child in mine:
            walk(child, depth + 1)

    for top in below.get("", []):
        walk(top, 0)
    return rows


def would(decision: Summary) -> str:
    """What a decision does to the world, in the words of its mode."""
    match decision.mode:
        case "observe":
            return f"observe: would {decision.action}"
        case "approve":
            return f"approve: asks to {decision.action}"
        case "act":
            return f"act: {decision.outcome or decision.effect or 'wanted'}"
    return ""


def ago(now: int, time: str) -> str:
    seconds = max(0, now - nanoseconds(time)) / SECOND
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def until(now: int, time: str) -> str:
    left = max(0, nanoseconds(time) - now) / SECOND
    return f"{left / 60:.0f} min" if left >= 60 else f"{left:.0f} s"


def size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(count) < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit in ("B", "kB", "MB") else f"{count:.1f} {unit}"
        count /= 1000
    return ""


def _shown(type_: Type | None, value: Any) -> str:
    if value is None:
        return "absent"
    return str(value) if type_ is None else show(type_, tuple(value) if isinstance(value, list) else value)


async def _known(asking: Awaitable[Any]) -> Any:
    """The answer, or None while whoever is asked is away: the rest of the page is shown without it."""
    try:
        return await asking
    except EliasError:
        return None


_templates = Environment(
    loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_templates.filters |= {"size": size, "json": lambda value: json.dumps(value, indent=2, ensure_ascii=False, default=str)}
_templates.globals |= {"would": would}


def _page(template: str, here: Context, status: int = 200, **more: Any) -> Response:
    now = here.clock.now()
    text = _templates.get_template(template).render(
        frozen=cluster.frozen(here),
        ago=lambda time: ago(now, time),
        until=lambda time: until(now, time),
        **more,
    )
    return HTMLResponse(text, status)


def _message(here: Context, error: EliasError) -> Response:
    """A mistake, as a page, with the status that the API would have given."""
    answer = envelope.of_elias(error)
    said = json.loads(bytes(answer.body))["error"]
    return _page("message.html", here, answer.status_code, error=said)


def _login(request: Request, wrong: bool = False) -> Response:
    text = _templates.get_template("login.html").render(wrong=wrong)
    return HTMLResponse(text, 401 if wrong else 200)


def _signed_in(request: Request, token: str) -> Response:
    here = context.of(request)
    if not hmac.compare_digest(token.encode("utf-8", "replace"), here.token.encode()):
        here.refused(request.client.host if request.client else "")
        return _login(request, wrong=True)
    response = RedirectResponse("/", 303)
    response.set_cookie(COOKIE, tokens.cookie_of(here.token), max_age=MONTH, httponly=True, samesite="strict")
    return response


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; the last one where a name comes twice."""
    text = (await request.body()).decode("utf-8", "replace")
    return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True, max_num_fields=50).items()}
