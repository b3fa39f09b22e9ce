"""The first page: what needs a person, what is happening, and how everything does."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from federation.errors import EliasError
from managers.uim.access import Person, Scope, needs
from managers.uim.api import cluster, context
from managers.uim.reading import Wanted
from managers.uim.web import managers, queue, render
from managers.uim.web.trends import trend

router = APIRouter(include_in_schema=False)
RECENT = 14  # decisions shown
URGENT = 6  # cases shown


@router.get("/", dependencies=[needs(Scope.READ)])
async def home(request: Request) -> Response:
    here = context.of(request)
    members, nodes, recent, shape, bundle = await asyncio.gather(
        render.known(cluster.tree(here)),
        render.known(cluster.all_nodes(here)),
        asyncio.to_thread(here.reader.page, Wanted(limit=RECENT)),
        asyncio.to_thread(trend, here.store, here.clock.now()),
        render.known(here.link.call("gate", "bundle", patience=render.PATIENCE)),
    )
    return render.page(
        request,
        "home.html",
        processes=None if members is None else managers.processes(members),
        engines=managers.engines(members or []),
        nodes=nodes,
        waiting=queue.first(request, URGENT),
        decisions=recent.decisions,
        trend=shape,
        bundle=bundle,
    )


@router.post("/freeze")
async def freeze(request: Request, person: Annotated[Person, needs(Scope.CONTROL)]) -> Response:
    form = await render.form(request)
    on = form.one("on") == "1"
    try:
        await cluster.switch_freeze(context.of(request), on, person.name, form.one("reason", 500) or "on the page")
    except EliasError as error:
        return render.message(request, error)
    told = "All effects are frozen. Decisions go on; none of them acts." if on else "Effects act again."
    return render.back(request, told)
