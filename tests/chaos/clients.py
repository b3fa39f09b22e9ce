"""Clients that send without end, one for each part, and note what they know of every request."""

import http.client
import threading
import time
from collections.abc import Callable
from typing import Any

from benchmarks import load
from tests.chaos.history import CERTAIN, REFUSED, SOURCE, UNKNOWN, Request
from tests.chaos.kinds import PARTS
from tests.chaos.site import Site
from tests.nodes.hosts import Connection

PACE = 0.25  # seconds between two requests of a client that is answered at once
PATIENCE = 1.0  # seconds for one request
SOON = 0.05  # seconds until one that was not answered is sent again
JOBS = 10.0  # seconds between two jobs: each takes a second or two of a core
KEPT = 1.0  # seconds for which a connection is kept that nobody uses: the server ends it after five
GIVES_UP = 4  # every fourth request is given up when it is not answered: nobody will ask for it again
MODE = {"action": "uim.access/block", "mode": "observe"}

Sent = tuple[str, str, str, Any]  # id, method, path, body


class Client(threading.Thread):
    """made: the request of a number. requests: all so far, in order."""

    def __init__(
        self, site: Site, part: str, clock: Callable[[], float], made: Callable[[int], Sent], pace: float
    ) -> None:
        super().__init__(daemon=True)
        self.part, self.requests = part, list[Request]()
        self._site, self._clock, self._made, self._pace = site, clock, made, pace
        self._ended = threading.Event()
        self._connection: Connection | None = None

    def run(self) -> None:
        number = 0
        while not self._ended.is_set():
            sent = self._made(number)
            begun = time.monotonic()
            while (result := self._ask(*sent)) == UNKNOWN and number % GIVES_UP and not self._ended.is_set():
                time.sleep(SOON)
            number += 1
            self._ended.wait(max(SOON, self._pace - (time.monotonic() - begun)) if result == CERTAIN else SOON)
        if self._connection:
            self._connection.close()

    def end(self) -> None:
        self._ended.set()

    def _ask(self, id: str, method: str, path: str, body: Any) -> str:
        began = self._clock()
        decisions, said = dict[str, str](), ""
        self._connection = self._connection or self._site.connect(PATIENCE)
        try:
            status, answer = self._site.request(method, path, body, connection=self._connection)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()
            self._connection, result, said = None, UNKNOWN, type(error).__name__
        else:
            result = CERTAIN if status in (200, 202, 204) else REFUSED if 400 <= status < 500 else UNKNOWN
            if result == CERTAIN and status != 204:
                decisions = {decision["id"]: decision["status"] for decision in answer["decisions"]}
            elif result != CERTAIN:
                said = f"{status} {answer}"[:300]
        if self._connection and self._pace > KEPT:
            self._connection.close()
            self._connection = None
        self.requests.append(Request(self.part, id, began, self._clock(), result, decisions, said))
        return result


def clients(site: Site, clock: Callable[[], float]) -> list[Client]:
    """One for each part, and one that submits jobs."""

    def event(part: str) -> Callable[[int], Sent]:
        return lambda number: _event(load.event(part, f"{part}-{number}", number))

    def mode(number: int) -> Sent:
        return f"gate-{number}", "PUT", "/v1/modes", MODE

    def job(number: int) -> Sent:
        name = f"job-{number}"
        command = ["sh", "-c", f"echo {name} >> {site.world}"]
        data = {"command": command, "cpus": 0.1, "labels": ["worker"]}
        return _event({"specversion": "1.0", "id": name, "type": "elias.job.submitted", "subject": name, "data": data})

    asked = [Client(site, part, clock, mode if part == "gate" else event(part), PACE) for part in PARTS]
    return [*asked, Client(site, "jobs", clock, job, JOBS)]


def _event(event: dict[str, Any]) -> Sent:
    return event["id"], "POST", "/v1/events", event | {"source": SOURCE}
