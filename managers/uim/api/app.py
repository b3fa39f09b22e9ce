"""The application: routes inside, the guard around them."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response
from starlette.types import ASGIApp

from federation.errors import Bug, EliasError
from managers.uim.access import Scope, needed, needs
from managers.uim.api import (
    accounts,
    alertmanager,
    bundles,
    cases,
    cluster,
    decisions,
    envelope,
    events,
    health,
    jobs,
    messages,
    stream,
)
from managers.uim.api.context import Context
from managers.uim.api.guard import Guard, is_open
from managers.uim.web import pages, render


def create(context: Context) -> ASGIApp:
    guarded = alertmanager.BasicAsBearer(Guard(routes(context), context))
    return health.Meter(guarded, context.registry)


def routes(context: Context) -> FastAPI:
    """Everything that can be asked. Raises Bug for a route that does not say who may use it."""
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
    for part in (decisions, cases, cluster, bundles, jobs, messages, alertmanager, accounts, stream, health, pages):
        app.include_router(part.router)
    envelope.install(app)
    app.add_exception_handler(EliasError, _refused)

    @app.get("/v1/openapi.json", include_in_schema=False, dependencies=[needs(Scope.READ)])
    def document() -> dict[str, Any]:
        return _document(app)

    for route in app.routes:
        path = getattr(route, "path", "")
        if needed(route) is None and not is_open(path):
            raise Bug(f"{path} does not say who may use it: add `dependencies=[needs(...)]`")
    return app


async def _refused(request: Request, problem: Exception) -> Response:
    """A mistake that no page has shown itself, as a page for a browser."""
    assert isinstance(problem, EliasError)
    by_browser = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/")
    return render.message(request, problem) if by_browser else envelope.of_elias(problem)


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        document.setdefault("paths", {})
        events.describe(document)
        app.openapi_schema = document
    return app.openapi_schema
