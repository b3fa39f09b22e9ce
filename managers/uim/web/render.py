"""How a page is made: its template and the frame around it; how a form is read, and what its sender is told after."""

import asyncio
import json
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qs, quote, unquote

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from federation.errors import EliasError, Refused
from managers.uim.access import Person, csrf
from managers.uim.api import cluster, context, envelope
from managers.uim.web import icons, svg, words

HERE = Path(__file__).parent
TOLD = "elias-told"  # the cookie that carries a sentence from a form to the page after it
RENEWS = "elias-renews"  # the header of a request for the live parts of a page: its sentence is for the page after it
PATIENCE = 2.0  # seconds that a page waits for a process: the rest of it is shown without
FIELDS = 600  # of a form: a page of the queue with every box ticked

_T = TypeVar("_T")


class Tab(NamedTuple):
    """A page that every page links to. key: after `g` it goes there."""

    path: str
    name: str
    icon: str
    key: str


TABS: tuple[tuple[str, tuple[Tab, ...]], ...] = (
    (
        "Now",
        (
            Tab("/", "Overview", "home", "o"),
            Tab("/cases", "Cases", "case", "c"),
            Tab("/decisions", "Decisions", "decision", "d"),
        ),
    ),
    (
        "Cluster",
        (
            Tab("/nodes", "Nodes", "node", "n"),
            Tab("/apps", "Applications", "apps", "a"),
            Tab("/messages", "Messages", "mail", "m"),
            Tab("/managers", "Managers", "tree", "t"),
        ),
    ),
    (
        "Rules",
        (
            Tab("/specs", "Specs", "specs", "s"),
            Tab("/policy", "Policy", "policy", "p"),
            Tab("/ledger", "Ledger", "ledger", "l"),
            Tab("/settings", "Settings", "gear", "x"),
        ),
    ),
)

_KEYS = (
    ("j / k", "next, previous row"),
    ("o or Enter", "open the row; on a case, its other answers"),
    ("a", "acknowledge the row or the case; once it is yours, approve what is proposed"),
    ("s", "snooze"),
    ("x", "tick the row"),
    ("/", "search"),
    ("?", "this help"),
    ("Esc", "leave a field, close what is open"),
)

_environment = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= words.FILTERS
_environment.globals |= {
    **svg.GLOBALS,
    "csrf": csrf.field,
    "icon": icons.icon,
    "tabs": TABS,
    "keys": _KEYS,
    "percents": words.percents,
}


def page(request: Request, template: str, *, status: int = 200, **more: Any) -> Response:
    """A page in its frame. more: what its template names beside the frame's own."""
    here = context.of(request)
    now = here.clock.now()
    person: Person | None = getattr(request.state, "person", None)
    said = "" if RENEWS in request.headers else request.cookies.get(TOLD, "")
    told, _, link = unquote(said).partition("\n")
    text = _environment.get_template(template).render(
        frozen=cluster.frozen(here),
        notice=here.settings.notice,
        now=now,
        seq=here.feed.seq,
        open_cases=len(here.book().state.cases),
        ago=lambda time: words.ago(now, time),
        until=lambda time: words.until(now, time),
        path=request.url.path,
        person=person,
        may=lambda scope: person is not None and person.may(scope),
        theme=_choice(request, "elias-theme", ("auto", "light", "dark")),
        with_keys=_choice(request, "elias-keys", ("on", "off")) == "on",
        told=told[:600],
        told_link=link if link.startswith("/decisions/") else "",
        **more,
    )
    response = HTMLResponse(text, status)
    if told:
        response.delete_cookie(TOLD)
    return response


def message(request: Request, error: EliasError) -> Response:
    """A mistake, as a page, with the status that the API would have given."""
    answer = envelope.of_elias(error)
    return page(request, "message.html", status=answer.status_code, error=json.loads(bytes(answer.body))["error"])


def back(request: Request, told: str, to: str = "", link: str = "") -> Response:
    """After a form: to the page that it names, or the one it came from, which says what was done. link: where more of
    it is told."""
    response = RedirectResponse(to or _inside(request.headers.get("referer", "")), 303)
    response.set_cookie(TOLD, quote(f"{told[:600]}\n{link}"), max_age=20, httponly=True, samesite="strict")
    return response


class Form:
    """The fields of a posted form."""

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        self._fields = fields

    def one(self, name: str, most: int = 2000) -> str:
        """The last value of a field, less the blanks around it; empty where it is missing."""
        return self._fields.get(name, [""])[-1].strip()[:most]

    def all(self, name: str) -> list[str]:
        return self._fields.get(name, [])


async def form(request: Request) -> Form:
    """Raises Refused: it has too many fields."""
    text = (await request.body()).decode("utf-8", "replace")
    try:
        return Form(parse_qs(text, keep_blank_values=True, max_num_fields=FIELDS))
    except ValueError as error:
        raise Refused("bad-form", str(error), place="form", cure="use the form of the page") from None


async def known(asking: Awaitable[_T]) -> _T | None:
    """The answer, or None while whoever is asked is away: the rest of the page is shown without it."""
    try:
        return await asking
    except EliasError:
        return None


async def view(request: Request, manager: str) -> dict[str, Any] | None:
    """What a manager shows of its state; None while it is away."""
    here = context.of(request)
    if manager not in here.children:
        return None
    found: dict[str, Any] | None = await known(here.link.call(manager, "view", patience=PATIENCE))
    return found


async def views(request: Request, *managers: str) -> list[dict[str, Any] | None]:
    return list(await asyncio.gather(*(view(request, name) for name in managers)))


def _choice(request: Request, cookie: str, known: tuple[str, ...]) -> str:
    """A preference of this browser; the first one where it has none that is known."""
    chosen = request.cookies.get(cookie, "")
    return chosen if chosen in known else known[0]


def _inside(referer: str) -> str:
    """The path and query of a page of ours; never another host."""
    path = "/" + referer.partition("://")[2].partition("/")[2]
    return path if path.isprintable() and not path.startswith(("//", "/\\")) else "/"
