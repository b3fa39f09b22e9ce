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
ADMISSION, PLACEMENT, FORWARD = "urm.admission", "ufm.placement", "ufm.forward"


class Job(BaseModel):
    """state: case (a person decides on it), held, waiting (for room), running, forwarded (a peer has it), or its
    outcome. peer: the cluster that was given it."""

    id: str
    state: str
    node: str = ""
    peer: str = ""
    gpus: list[Any] = []
    exit_code: int | None = None
    detail: str = ""
    admission: Decision | None = None
    placement: Decision | None = None
    forward: Decision | None = None


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
    forward = _latest(here, FORWARD, id)
    if forward is not None and not _given(forward, admission, placement):
        forward = None
    newest = forward or placement or admission
    if newest is None:
        raise Refused(
            "no-job", f"there is no job `{id}`", cure="a job goes by the subject of its elias.job.submitted event"
        )
    return Job(
        id=id,
        state=state_of(newest),
        node=str(newest.args.get("node", "")),
        peer=str(newest.args.get("peer", "")),
        gpus=list(newest.args.get("gpus", ())),
        exit_code=_exit_code(newest),
        detail=next((s.detail for s in reversed(newest.steps) if s.detail), newest.reason),
        admission=admission,
        placement=placement,
        forward=forward,
    )


def _given(forward: Decision, admission: Decision | None, placement: Decision | None) -> bool:
    """Whether a peer is given the job, and has not given it back. What is placed later was not given, and an older job
    of the same name does not count."""
    older = admission is not None and forward.seq < admission.seq and bool(forward.outcome)
    placed = placement is not None and placement.action == "place" and forward.seq < placement.seq
    wanted = forward.action == "forward" and bool(forward.effect)
    return wanted and forward.outcome not in ("refused", "expired") and not older and not placed


def _latest(here: Context, point: str, subject: str) -> Decision | None:
    found = here.reader.page(Wanted(point, subject, limit=1)).decisions
    return here.reader.decision(found[0].id) if found else None


def state_of(newest: Decision) -> str:
    """The state of a job by the newest decision about it."""
    if newest.status == "waiting":
        return "case"
    if newest.point == ADMISSION:
        return {"admit": "waiting", "wait": "waiting"}.get(newest.action, "held")
    if newest.action not in ("place", "forward"):
        return "waiting"
    if newest.outcome:
        return newest.outcome
    under_way = "forwarded" if newest.point == FORWARD else "running"
    return {"released": under_way, "withheld": "case", "approval": "case"}.get(newest.effect, "waiting")


def _exit_code(newest: Decision) -> int | None:
    if not newest.outcome or newest.point == ADMISSION:
        return None
    code = newest.result.get("exit_code")
    if isinstance(code, int):
        return code
    return 0 if newest.outcome == "done" else 1
