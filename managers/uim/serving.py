"""The HTTP server of UIM, and what it is given to answer with."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import uvicorn

from federation.records import Access
from federation.runtime.link import RayLink
from federation.runtime.manager import ManagerService
from managers.uim import logs, tls, tokens, tracing
from managers.uim.api import app
from managers.uim.api.context import Context
from managers.uim.cases.book import Book


def server(
    service: ManagerService,
    *,
    book: Callable[[], Book],
    refused: Callable[[str], None],
    blocked: Callable[[str], bool],
    audit: Callable[[Access], Awaitable[None]],
) -> uvicorn.Server:
    """The server of the API and the page, not serving yet. book: the cases as they stand. refused: told of the address
    of each wrong token. audit: puts on record who came in, or changed something.
    """
    settings = service.settings
    pair = tls.serving(settings)
    advisor = ("advisor",) if settings.advisors.providers else ()
    context = Context(
        settings=settings,
        points=service.roster.points,
        children=("appender", "gate", "policy", *advisor, *service.roster.managers),
        link=RayLink(),
        store=service.store,
        clock=service.clock,
        token=tokens.make(settings.state),
        logs=lambda job: logs.follow(context, job),
        book=book,
        refused=refused,
        blocked=blocked,
        audit=audit,
    )
    traces = tracing.of(context)
    application = app.create(context)
    return Server(
        context,
        uvicorn.Config(
            traces.around(application) if traces else application,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=5,
            ssl_certfile=pair.cert if pair else None,
            ssl_keyfile=pair.key if pair else None,
        ),
        traces,
    )


class Server(uvicorn.Server):
    """Samples the load of the nodes and sends traces while it serves, and ends the streams before it waits for requests
    to end."""

    def __init__(self, context: Context, config: uvicorn.Config, traces: tracing.Tracing | None = None) -> None:
        super().__init__(config)
        self._context = context
        self._beside = (context.trends.follow, traces.follow) if traces else (context.trends.follow,)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        beside = [asyncio.get_running_loop().create_task(follow()) for follow in self._beside]
        try:
            await super().serve(sockets)
        finally:
            for task in beside:
                task.cancel()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._context.feed.close()
        await super().shutdown(sockets)
