"""The test of an outbound target: an ordinary message on the ordinary way, and what came of its first attempt."""

import asyncio
import uuid
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from federation.errors import Refused, Temporary
from federation.records import Event
from federation.replies import Rejected
from managers.uim.access import Person, Scope, needs
from managers.uim.api import context
from managers.uim.api.context import Context

router = APIRouter(prefix="/v1/messages", tags=["messages"])
LONGEST = 25.0  # seconds that a test is waited for; the commands give up after 30
LOOK = 0.05  # seconds between two looks at the ledger


class Tested(BaseModel):
    """message: its id. waiting: nothing came of it yet; what holds it back is in `detail`. failed: it is tried again,
    or among the dead letters."""

    target: str
    message: str
    status: Literal["delivered", "failed", "waiting"]
    detail: str = ""


@router.post("/targets/{name}/test", summary="Send a test message to a target")
async def send_test(request: Request, name: str, person: Annotated[Person, needs(Scope.CONTROL)]) -> Tested:
    return await try_target(context.of(request), name, person.name)


async def try_target(here: Context, name: str, by: str) -> Tested:
    """Raises Refused when there is no such target, Temporary when UCM is away."""
    target = here.settings.targets.get(name)
    if target is None:
        known = ", ".join(sorted(here.settings.targets)) or "none"
        cure = f"name it below `targets` in elias.yaml; known are: {known}"
        raise Refused("no-target", f"there is no target `{name}`", place=name, cure=cure)
    body = {
        "title": f"Test of the target {name}",
        "text": "It works: this is how ELIAS reaches you here. Nothing has happened.",
        "link": "/",
        "fields": {"asked for by": by},
    }
    # Critical, so that quiet hours do not hold it; without a subject, so that it waits behind nothing.
    data = {"target": name, "priority": "critical", "type": "elias.message.test", "body": body}
    event = Event(f"test {uuid.uuid4().hex}", f"elias/person/{by}", "elias.message.send", "", None, data)
    (result,) = await here.lanes.decide([event])
    if isinstance(result, Rejected):
        if result.status == 503:
            raise Temporary(result.message)
        raise Refused(result.code, result.message, place=result.place, cure=result.cure)
    (reply,) = result
    if reply.action == "deliver" and reply.mode == "act":
        return await _outcome(here, name, reply.id, min(LONGEST, target.timeout + 5.0))
    held = f"the rule `{reply.clause}` of ucm.delivery says {reply.action or reply.status}"
    if reply.action == "deliver":
        held = f"the action `ucm.delivery/deliver` is in mode `{reply.mode}`"
    return Tested(target=name, message=reply.id, status="waiting", detail=held)


async def _outcome(here: Context, name: str, message: str, patience: float) -> Tested:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        found = await asyncio.to_thread(here.reader.decision, message)
        detail = found.steps[-1].detail
        if found.outcome == "done":
            return Tested(target=name, message=message, status="delivered", detail=detail)
        if found.outcome:
            return Tested(target=name, message=message, status="failed", detail=detail or found.outcome)
        if loop.time() > deadline:
            held = f"its effect is {found.effect}" if found.effect else "it is on its way"
            return Tested(target=name, message=message, status="waiting", detail=held)
        await asyncio.sleep(LOOK)
