"""The applications that UAM runs, and what a person asks of one."""

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from federation.errors import EliasError, Refused
from managers.uim.access import Person, Scope, needs
from managers.uim.web import render
from managers.uim.web.asking import ask

router = APIRouter(include_in_schema=False)
REQUESTS = {"start": "started", "stop": "stopped", "restart": "restarted"}


@router.get("/apps", dependencies=[needs(Scope.READ)])
async def apps(request: Request) -> Response:
    return render.page(request, "apps.html", shown=await render.view(request, "uam"), requests=REQUESTS)


@router.post("/apps")
async def ask_one(request: Request, person: Annotated[Person, needs(Scope.CONTROL)]) -> Response:
    form = await render.form(request)
    subject, wanted = form.one("name", 200), form.one("request", 16)
    try:
        if wanted not in REQUESTS:
            raise Refused("bad-form", f"`{wanted}` is no request", cure=f"one of: {', '.join(REQUESTS)}")
        replies = await ask(request, person, "elias.app.request", subject, {"request": wanted})
    except EliasError as error:
        return render.message(request, error)
    return render.back(request, f"{subject} is to be {REQUESTS[wanted]}: {replies}.")
