"""How long requests take. The only figures that are counted where they are told."""

import asyncio

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from managers.uim.metrics.family import Family

SECONDS = Family(
    "histogram", "elias_http_request_seconds", "time until the answer is sent", ("method", "route", "status")
)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second family for each histogram, which nobody asks for


class Meter:
    """ASGI middleware: how long requests take, by route and status."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self.app = app
        self._seconds = Histogram(
            SECONDS.name,
            SECONDS.help,
            SECONDS.labels,
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0),
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        started, status = loop.time(), 0

        async def metered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, metered)
        finally:
            route = getattr(scope.get("route"), "path", "") or "other"
            self._seconds.labels(scope["method"], route, str(status)).observe(loop.time() - started)
