"""The application: routes inside, the guard around them."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp

from managers.uim.access import Scope, needs
from managers.uim.api import alertmanager, bundles, cases, cluster, decisions, envelope, events, health, jobs, messages
from managers.uim.api.context import Context
from managers.uim.api.guard import Guard
from managers.uim.web import pages


def create(context: Context) -> ASGIApp:
    app = FastAPI(
        title="ELIAS",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    app.router.routes.append(events.ROUTE)
    for part in (decisions, cases, cluster, bundles, jobs, messages, alertmanager, health, pages):
        app.include_router(part.router)
    envelope.install(app)

    @app.get("/v1/openapi.json", include_in_schema=False, dependencies=[needs(Scope.READ)])
    def document() -> dict[str, Any]:
        return _document(app)

    return health.Meter(alertmanager.BasicAsBearer(Guard(app, context)), context.registry)


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        document.setdefault("paths", {})
        events.describe(document)
        app.openapi_schema = document
    return app.openapi_schema
