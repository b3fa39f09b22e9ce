"""One field for everything that has a name: a decision, a record, a node, an application, a point, a subject."""

import asyncio
import re
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from managers.uim.access import Scope, needs
from managers.uim.api import context
from managers.uim.reading import Wanted
from managers.uim.web import render

router = APIRouter(include_in_schema=False)
SHOWN = 30  # of each kind
_DECISION = re.compile(r"[0-9a-f]{32}")


class Hit(NamedTuple):
    kind: str
    name: str
    link: str


@router.get("/search", dependencies=[needs(Scope.READ)])
async def search(request: Request, q: Annotated[str, Query(max_length=256)] = "") -> Response:
    here, wanted = context.of(request), q.strip()
    if _DECISION.fullmatch(wanted):
        return RedirectResponse(f"/decisions/{wanted}", 303)
    if wanted.isdecimal() and wanted.isascii():
        return RedirectResponse(f"/ledger/{wanted[:18]}", 303)
    fleet, apps = await render.views(request, "ufm", "uam")
    named = [Hit("page", tab.name, tab.path) for _, some in render.TABS for tab in some]
    named += [Hit("manager", name, f"/managers/{name}") for name in here.managers]
    named += [Hit("decision point", name, f"/decisions?point={name}") for name in sorted(here.points)]
    named += [Hit("node", n["name"], f"/nodes/{n['name']}") for n in (fleet or {}).get("nodes", [])]
    named += [Hit("application", a["name"], "/apps") for a in (apps or {}).get("apps", [])]
    hits = [hit for hit in named if wanted and wanted.lower() in hit.name.lower()][:SHOWN]
    about = await asyncio.to_thread(here.reader.page, Wanted(subject=wanted, limit=SHOWN)) if wanted else None
    return render.page(request, "search.html", q=wanted, hits=hits, decisions=about.decisions if about else [])
