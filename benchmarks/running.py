"""ELIAS as a user runs it, in a folder of its own on a free port, for a benchmark or an end-to-end test."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.ports import free_port

START = 300.0  # seconds until a start that does not answer is given up


def exchange(
    connection: http.client.HTTPConnection, token: str, method: str, path: str, body: Any = None
) -> tuple[int, Any]:
    """Status and decoded JSON of one request."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    raw = response.read()
    return response.status, json.loads(raw) if raw[:1] in (b"{", b"[") else raw.decode()


class Running:
    """`elias up` in `folder`, ready; drained at the end. settings: further lines of elias.yaml. options: of the
    command."""

    command = (sys.executable, "-m", "managers.uim.cli")
    options: tuple[str, ...] = ()

    def __init__(self, folder: Path, settings: str = "") -> None:
        self.folder = folder
        self.host, self.port = "127.0.0.1", free_port()
        self.posted = 0
        (folder / "elias.yaml").write_text(f"listen:\n  port: {self.port}\n{settings}")
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def state(self) -> Path:
        return self.folder / ".elias"

    @property
    def log(self) -> Path:
        return self.folder / "up.log"

    def start(self) -> float:
        """Seconds until it was ready. Raises RuntimeError with the end of its output when it does not start."""
        begun = time.monotonic()
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [*self.command, "up", *self.options], cwd=self.folder, stdout=out, stderr=out, start_new_session=True
            )
        while time.monotonic() - begun < START:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get("/readyz")[0] == 200:
                    return time.monotonic() - begun
            time.sleep(0.05)
        raise RuntimeError(f"it did not start:\n{self.log.read_text()[-4000:]}")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
            self.process.wait(90)
        self.process = None

    def kill(self) -> None:
        """kill -9 of the process that keeps it up; the rest follows it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None

    @property
    def token(self) -> str:
        return (self.state / "token").read_text().strip()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=30)

    def request(
        self, method: str, path: str, body: Any = None, connection: http.client.HTTPConnection | None = None
    ) -> tuple[int, Any]:
        """Status and decoded JSON of one request."""
        if connection is not None:
            return exchange(connection, self.token, method, path, body)
        with contextlib.closing(self.connect()) as own:
            return exchange(own, self.token, method, path, body)

    def get(self, path: str) -> tuple[int, Any]:
        return self.request("GET", path)

    def post(self, connection: http.client.HTTPConnection, body: Any) -> Any:
        """The answer to events; raises RuntimeError unless they were accepted."""
        status, answer = self.request("POST", "/v1/events", body, connection)
        if status not in (200, 202):
            raise RuntimeError(f"{status}: {answer}")
        return answer
