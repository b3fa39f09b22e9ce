"""GET /v1/openapi.json: what can be asked, for programs and for people who write them."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi

from managers.uim.access import Scope, needs
from managers.uim.api import events

router = APIRouter(prefix="/v1", include_in_schema=False)


@router.get("/openapi.json", dependencies=[needs(Scope.READ)])
def document(request: Request) -> dict[str, Any]:
    app: FastAPI = request.app
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, routes=app.routes)
        made.setdefault("paths", {})
        events.describe(made)
        app.openapi_schema = made
    return app.openapi_schema
