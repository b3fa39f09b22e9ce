"""Whether ELIAS lives, whether it can work, and its figures for Prometheus."""

import asyncio

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import BaseModel
from starlette.responses import Response

from federation.clock import SECOND
from federation.errors import EliasError, Temporary
from managers.uim import access, metrics
from managers.uim.api import context
from managers.uim.api.context import Context
from managers.uim.metrics.scrape import Scrape, look

router = APIRouter(tags=["health"])
_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Health(BaseModel):
    status: str


class Ready(BaseModel):
    status: str
    ledger_age: float


@router.get("/healthz", summary="This process answers (no token needed)")
async def healthz() -> Health:
    return Health(status="ok")


@router.get(
    "/readyz",
    summary="All managers answer and the ledger takes commits",
    dependencies=[access.needs(access.Scope.READ)],
)
async def readyz(request: Request) -> Ready:
    here = context.of(request)
    answers = await asyncio.gather(*(_pings(here, child) for child in here.children))
    away = [child for child, answered in zip(here.children, answers, strict=True) if not answered]
    if away:
        raise Temporary(f"{', '.join(away)} did not answer")
    # Time passing is itself on record, so a ledger without a recent commit takes none.
    age = (here.clock.now() - (await asyncio.to_thread(here.store.head)).time) / SECOND
    if age > 3 * here.settings.ledger.tick + 1:
        raise Temporary(f"the last commit to the ledger was {age:.0f} s ago")
    return Ready(status="ready", ledger_age=round(age, 3))


@router.get(
    "/metrics",
    summary="Figures of all processes, for Prometheus",
    response_class=Response,
    dependencies=[access.needs(access.Scope.READ)],
)
async def figures(request: Request) -> Response:
    here = context.of(request)
    scrape = await look(here)
    # In a thread: with the nodes of a large cluster it takes longer than a decision may wait for this event loop.
    return Response(await asyncio.to_thread(_exposition, scrape, here.registry), media_type=_TYPE)


async def _pings(here: Context, child: str) -> bool:
    try:
        await here.link.call(child, "ping", patience=2.0)
    except EliasError:
        return False
    return True


def _exposition(scrape: Scrape, requests: CollectorRegistry) -> bytes:
    lines = (line for part in metrics.PARTS for line in part.lines(scrape))
    return "\n".join((*lines, "")).encode() + generate_latest(requests)
