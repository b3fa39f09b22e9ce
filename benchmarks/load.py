"""What the long benchmarks send: events that every manager answers, and what these are about."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.running import Running

MANAGERS = ("ufm", "ucm", "urm", "ulm", "uim", "uam")
SUBJECTS = 1000
PATIENCE = 60.0  # seconds
SETTINGS = "targets:\n  sink:\n    kind: webhook\n    url: http://127.0.0.1:{port}/\n"
APPS = "apps:\n  bench:\n    command: ['true']\n    restart: temporary\n"  # it ends at once and leaves nothing behind
_TIMINGS = {"baseline": [10.0, 11.0, 10.5, 9.5, 10.2, 9.9], "current": [10.1, 10.8, 10.4, 9.7, 10.0, 10.2]}


def event(manager: str, id: str, number: int) -> dict[str, Any]:
    """An event that this manager answers by rule; `number` varies subject and figures, over `SUBJECTS` subjects."""
    about = number % SUBJECTS
    kind, subject, data = _made(manager, about, number)
    return {"specversion": "1.0", "id": id, "source": "benchmark", "type": kind, "subject": subject, "data": data}


def _made(manager: str, about: int, number: int) -> tuple[str, str, dict[str, Any]]:
    match manager:
        case "ufm":
            return "elias.request.route", f"user-{about}", {}
        case "ucm":
            return "elias.message.send", f"topic-{about}", {"target": "sink", "body": {"number": number}}
        case "urm":
            figures = {"memory": 35.0 + number % 40, "cpu": 20.0, "gpu": None, "disk": 40.0}
            return "elias.resource.sample", f"node-{about}", figures
        case "ulm":
            return "elias.component.measured", f"component-{about}", _TIMINGS
        case "uim":
            return "elias.access.failed", f"192.0.2.{about % 256}", {}
        case "uam":
            return "elias.app.observed", "bench/0", {}
    raise ValueError(f"no event is known for {manager}")


def await_world(elias: Running) -> None:
    """Until UAM knows the application: it reads what is declared when it looks at the time. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    while "bench/0" not in {app["name"] for app in elias.get("/v1/apps")[1].get("apps", ())}:
        if time.monotonic() > deadline:
            raise TimeoutError(f"UAM did not take in the application within {PATIENCE:g} s")
        time.sleep(0.1)


@contextmanager
def world(folder: Path) -> Iterator[str]:
    """What the events are about: an application in `folder`, and a web server that takes every message. Gives the
    settings that name it as the target `sink`.
    """
    (folder / "apps.yaml").write_text(APPS)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield SETTINGS.format(port=server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


class _Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """A line for every message would be the benchmark's own load."""
