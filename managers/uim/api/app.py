"""The application: routes inside, the guard around them."""

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from federation.errors import Bug, EliasError
from managers.uim.access import needed
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
    policies,
    schema,
    stream,
)
from managers.uim.api.context import Context
from managers.uim.api.guard import Guard, is_open
from managers.uim.metrics.requests import Meter
from managers.uim.web import pages, render

API = (decisions, cases, cluster, bundles, policies, jobs, messages, alertmanager, accounts, stream, health, schema)


def create(context: Context) -> ASGIApp:
    guarded = alertmanager.BasicAsBearer(Guard(routes(context), context))
    return Meter(guarded, context.registry)


def routes(context: Context) -> FastAPI:
    """The application without its guard. Raises Bug for a route that does not say who may use it."""
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
    for part in API:
        app.include_router(part.router)
    for page in pages.PAGES:
        app.include_router(page.router, include_in_schema=False)
    envelope.install(app)
    app.add_exception_handler(EliasError, _refused)
    for route in every():
        path = getattr(route, "path", "")
        if needed(route) is None and not is_open(path):
            raise Bug(f"{path} does not say who may use it: add `dependencies=[needs(...)]`")
    return app


def every() -> list[BaseRoute]:
    """Everything that can be asked. `app.routes` does not tell: FastAPI keeps included routers whole from 0.137 on."""
    routers = [part.router for part in (*API, *pages.PAGES)]
    return [events.ROUTE, *(route for router in routers for route in router.routes)]


async def _refused(request: Request, problem: Exception) -> Response:
    """A mistake that no page has shown itself, as a page for a browser."""
    assert isinstance(problem, EliasError)
    by_browser = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/")
    return render.message(request, problem) if by_browser else envelope.of_elias(problem)
