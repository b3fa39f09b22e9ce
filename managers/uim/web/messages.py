"""What waits for other systems, and the messages that were given up."""

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from federation.errors import EliasError, Refused
from managers.uim.access import Person, Scope, needs
from managers.uim.api import context
from managers.uim.api.messages import try_target
from managers.uim.web import render
from managers.uim.web.asking import ask

router = APIRouter(include_in_schema=False)
SHOWN = 200  # dead letters
AT_ONCE = 100  # dead letters that one form sends again


@router.get("/messages", dependencies=[needs(Scope.READ)])
async def messages(request: Request) -> Response:
    shown = await render.view(request, "ucm")
    dead = (shown or {}).get("dead", [])[::-1]
    return render.page(request, "messages.html", shown=shown, dead=dead[:SHOWN], more=max(0, len(dead) - SHOWN))


@router.post("/messages/test")
async def test(request: Request, person: Annotated[Person, needs(Scope.CONTROL)]) -> Response:
    form = await render.form(request)
    try:
        tested = await try_target(context.of(request), form.one("target", 64), person.name)
    except EliasError as error:
        return render.message(request, error)
    detail = f": {tested.detail}" if tested.detail else ""
    return render.back(request, f"The test message to {tested.target} is {tested.status}{detail}.")


@router.post("/messages/resend")
async def resend(request: Request, person: Annotated[Person, needs(Scope.CONTROL)]) -> Response:
    form = await render.form(request)
    wanted = set(form.all("id"))
    try:
        dead = [one for one in (await render.view(request, "ucm") or {}).get("dead", []) if one["id"] in wanted]
        if not dead:
            raise Refused("no-message", "none of these is a dead letter now", cure="tick some of the list")
        for one in dead[:AT_ONCE]:
            await ask(request, person, "elias.message.resend", one["subject"], {"message": one["id"]})
    except EliasError as error:
        return render.message(request, error)
    left = f" {len(dead) - AT_ONCE} were too many at once and wait." if len(dead) > AT_ONCE else ""
    return render.back(request, f"{min(len(dead), AT_ONCE)} messages are sent again.{left}")
