"""The nodes: what each has, what is in use, what runs there, and what was decided about it."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from federation.errors import Refused
from managers.uim.access import Scope, needs
from managers.uim.api import cluster, context
from managers.uim.reading import Wanted
from managers.uim.web import render

router = APIRouter(include_in_schema=False)
POINTS = ("ufm.node_health", "urm.resource_pressure")  # that ask about a node by its name
RECENT = 20


@router.get("/nodes", dependencies=[needs(Scope.READ)])
async def nodes(request: Request, q: str = "") -> Response:
    shown = await render.view(request, "ufm")
    asked = [node for node in (shown or {}).get("nodes", []) if q in node["name"]]
    found = None if shown is None else [_filled(node) for node in await cluster.told(context.of(request), asked)]
    told = (shown or {}).get("problems", ())
    return render.page(request, "nodes.html", nodes=found, jobs=(shown or {}).get("jobs"), problems=told, q=q)


@router.get("/nodes/{name}", dependencies=[needs(Scope.READ)])
async def node(request: Request, name: str) -> Response:
    here = context.of(request)
    fleet, apps = await render.views(request, "ufm", "uam")
    if fleet is None:
        cure = "look at the managers; this page comes back with it"
        return render.message(request, Refused("away", "UFM, which knows the nodes, does not answer now", cure=cure))
    one = next((node for node in fleet.get("nodes", []) if node["name"] == name), None)
    if one is None:
        return render.message(request, Refused("no-node", f"there is no node `{name}`", cure="see the list of nodes"))
    (one,) = await cluster.told(here, [one])
    asked = [point for point in POINTS if point in here.points]
    pages = await asyncio.gather(
        *(asyncio.to_thread(here.reader.page, Wanted(point, name, limit=RECENT)) for point in asked)
    )
    return render.page(
        request,
        "node.html",
        node=_filled(one),
        trends=here.trends.of(name),
        jobs=[job for job in fleet.get("jobs", {}).get("running", []) if job["node"] == name],
        apps=[app for app in (apps or {}).get("apps", []) if app["node"] == name],
        decisions=sorted((d for page in pages for d in page.decisions), key=lambda d: -d.seq)[:RECENT],
    )


def _filled(node: dict[str, Any]) -> dict[str, Any]:
    """With everything that a template names, whatever its agent has reported so far."""
    report = {"cpu": None, "memory": None, "disk": None, "gpus": []} | node.get("report", {})
    bare: dict[str, Any] = {
        "status": "up",
        "silence": None,
        "missed": 0,
        "gpus": 0,
        "gpu_free": None,
        "cpus": None,
        "cpu_free": None,
    }
    bare |= {"memory": None, "memory_free": None, "elias": "", "clock": None, "unlike": {}}
    return bare | node | {"report": report}
