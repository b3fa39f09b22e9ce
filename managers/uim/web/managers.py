"""The supervision tree, and the page of a manager: its points, how far each action may go, and what it knows."""

import asyncio
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from federation.errors import EliasError, Refused
from federation.points import Mode
from managers.uim.access import Person, Scope, needs
from managers.uim.api import cluster, context
from managers.uim.api.cluster import Member
from managers.uim.reading import Wanted
from managers.uim.web import render

router = APIRouter(include_in_schema=False)
RECENT = 10  # decisions on the page of a manager


class Row(NamedTuple):
    """A line of the tree. group: a supervisor that has several below it."""

    depth: int
    group: bool
    m: Member
    status: str


class Engine(NamedTuple):
    """An engine of the policy. state: closed (it is asked), open (left alone), half-open (being tried)."""

    name: str
    state: str
    answered: int
    failed: int


@router.get("/managers", dependencies=[needs(Scope.READ)])
async def tree(request: Request) -> Response:
    here = context.of(request)
    members = await render.known(cluster.tree(here))
    rows = None if members is None else processes(members)
    return render.page(request, "managers.html", rows=rows, managers=here.managers)


@router.get("/managers/{name}", dependencies=[needs(Scope.READ)])
async def manager(request: Request, name: str) -> Response:
    here = context.of(request)
    points = [p for _, p in sorted(here.points.items()) if p.schema.manager == name]
    if not points and name not in here.children:
        return render.message(
            request, Refused("no-manager", f"no manager is named `{name}`", cure=f"one of: {', '.join(here.children)}")
        )
    health, shown, modes, *recent = await asyncio.gather(
        cluster.health(here, name),
        render.view(request, name),
        render.known(here.link.call(name, "modes", patience=render.PATIENCE)) if points else _nothing(),
        *(asyncio.to_thread(here.reader.page, Wanted(point.name, limit=RECENT)) for point in points),
    )
    newest = sorted((d for page in recent for d in page.decisions), key=lambda d: -d.seq)[:RECENT]
    return render.page(
        request,
        "manager.html",
        name=name,
        points=[point.describe() for point in points],
        health=health,
        shown=shown,
        modes=modes or {},
        all_modes=[mode.value for mode in Mode],
        decisions=newest,
    )


@router.post("/modes")
async def set_mode(request: Request, person: Annotated[Person, needs(Scope.CONTROL)]) -> Response:
    form = await render.form(request)
    action, mode = form.one("action", 130), form.one("mode", 16)
    try:
        await context.of(request).link.call("gate", "set_mode", action, mode, person.name)
    except EliasError as error:
        return render.message(request, error)
    return render.back(request, f"{action} is in mode {mode} from the next decision on.")


def processes(members: list[Member]) -> list[Row]:
    """The tree, flat, with its depth. A supervisor of one process is shown as that process, or as having given up."""
    below: dict[str, list[Member]] = {}
    for member in members:
        below.setdefault(member.supervisor, []).append(member)
    rows: list[Row] = []

    def walk(member: Member, depth: int) -> None:
        mine = below.get(member.name, [])
        if len(mine) == 1 and mine[0].name not in below and depth:
            only = mine[0]
            status = member.status if member.status == "gave up" else only.status
            rows.append(Row(depth, False, only, status))
            return
        rows.append(Row(depth, bool(mine) or not member.pid, member, member.status))
        for child in mine:
            walk(child, depth + 1)

    for top in below.get("", []):
        walk(top, 0)
    return rows


def engines(members: list[Member]) -> list[Engine]:
    """What scores for the policy, as its process says."""
    health: dict[str, Any] = next((m.health for m in members if m.name == "policy"), {})
    answered, failed = health.get("answered", {}), health.get("failed", {})
    return [
        Engine(e["engine"], e["state"], answered.get(e["engine"], 0), failed.get(e["engine"], 0))
        for e in health.get("engines", ())
    ]


async def _nothing() -> None:
    return None
