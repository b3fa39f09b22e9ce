"""Jobs that ELIAS admitted and placed, followed by their name: where they stand, and their logs as they come."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from federation.errors import Refused
from managers.uim.access import Scope, needs
from managers.uim.api import context
from managers.uim.api.context import Context
from managers.uim.reading import Decision, Wanted

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
ADMISSION, PLACEMENT = "urm.admission", "ufm.placement"


class Job(BaseModel):
    """state: case (a person decides on it), held, waiting (for room), running, or its outcome."""

    id: str
    state: str
    node: str = ""
    gpus: list[Any] = []
    exit_code: int | None = None
    detail: str = ""
    admission: Decision | None = None
    placement: Decision | None = None


@router.get("/{id}", summary="Where a job stands", dependencies=[needs(Scope.READ)])
async def job(request: Request, id: str) -> Job:
    return await asyncio.to_thread(find, context.of(request), id)


@router.get("/{id}/logs", summary="The output of a job, streamed until it ends", dependencies=[needs(Scope.READ)])
async def logs(request: Request, id: str) -> StreamingResponse:
    here = context.of(request)
    await asyncio.to_thread(find, here, id)
    return StreamingResponse(_encoded(here.logs(id)), media_type="text/plain; charset=utf-8")


async def _encoded(lines: AsyncIterator[str]) -> AsyncIterator[bytes]:
    async for text in lines:
        yield text.encode("utf-8", "replace")


def find(here: Context, id: str) -> Job:
    """Raises Refused when no job of that name was ever submitted."""
    admission, placement = _latest(here, ADMISSION, id), _latest(here, PLACEMENT, id)
    newest = placement or admission
    if newest is None:
        raise Refused(
            "no-job", f"there is no job `{id}`", cure="a job goes by the subject of its elias.job.submitted event"
        )
    return Job(
        id=id,
        state=state_of(newest),
        node=str(newest.args.get("node", "")),
        gpus=list(newest.args.get("gpus", ())),
        exit_code=_exit_code(newest),
        detail=next((s.detail for s in reversed(newest.steps) if s.detail), newest.reason),
        admission=admission,
        placement=placement,
    )


def _latest(here: Context, point: str, subject: str) -> Decision | None:
    found = here.reader.page(Wanted(point, subject, limit=1)).decisions
    return here.reader.decision(found[0].id) if found else None


def state_of(newest: Decision) -> str:
    """The state of a job by the newest decision about it."""
    if newest.status == "waiting":
        return "case"
    if newest.point == ADMISSION:
        return {"admit": "waiting", "wait": "waiting"}.get(newest.action, "held")
    if newest.action != "place":
        return "waiting"
    if newest.outcome:
        return newest.outcome
    return {"released": "running", "withheld": "case", "approval": "case"}.get(newest.effect, "waiting")


def _exit_code(newest: Decision) -> int | None:
    if not newest.outcome or newest.point != PLACEMENT:
        return None
    code = newest.result.get("exit_code")
    if isinstance(code, int):
        return code
    return 0 if newest.outcome == "done" else 1
