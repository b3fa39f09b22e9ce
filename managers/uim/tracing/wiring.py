"""Where traces are switched on: what is put around the application, and what reads the log beside it."""

import logging

from starlette.types import ASGIApp

from managers.uim.api.context import Context
from managers.uim.tracing.incoming import Incoming, Posts, TracedLanes
from managers.uim.tracing.reader import Reader

_log = logging.getLogger("elias.uim.tracing")


class Tracing:
    def __init__(self, context: Context, reader: Reader, incoming: Incoming) -> None:
        self._context, self._incoming, self.reader = context, incoming, reader
        self.follow = reader.follow
        context.lanes = TracedLanes(context.link, context.asked, incoming)

    def around(self, app: ASGIApp) -> ASGIApp:
        return Posts(app, self._incoming, self._context.clock)


def of(context: Context) -> Tracing | None:
    """None: the settings name nobody who takes traces, or what sends them is not installed."""
    settings = context.settings.telemetry.traces
    if not settings.endpoint:
        return None
    try:
        from managers.uim.tracing import otlp  # noqa: PLC0415  30 MB that nobody pays who has no traces
    except ImportError as error:
        _log.error("no traces: %s; `pip install 'elias[traces]'` installs what sends them", error)
        return None
    incoming = Incoming(settings.share, context.lanes.own)
    folder = context.settings.state / "uim"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    reader = Reader(context.store, folder / "traces.seq", incoming, otlp.exporter(settings.endpoint))
    return Tracing(context, reader, incoming)
