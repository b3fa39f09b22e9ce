"""A Prometheus for tests that scrapes a node_exporter, both Debian's, and pages as NVIDIA's exporter writes them: that
one needs a GPU. All targets have the address of this machine, so the first node is `127.0.0.1` for Prometheus; the
other has the name that its target is given.
"""

import contextlib
import http.client
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from federation.targets import Prometheus
from tests.e2e.waiting import until
from tests.ports import free_port
from tests.programs import program

BLANK = 9223372036854775794
"""What DCGM gives for a field that a GPU does not have."""


class Card:
    """A GPU as `dcgm-exporter` shows it: of its default counters (`etc/default-counters.csv`) those that are read."""

    def __init__(self, number: int, host: str) -> None:
        self.number, self.host = number, host
        self.values: dict[str, float] = {
            "DCGM_FI_DEV_GPU_TEMP": 48,
            "DCGM_FI_DEV_XID_ERRORS": 0,
            "DCGM_FI_DEV_FB_FREE": 61440,
            "DCGM_FI_DEV_FB_USED": 20480,
            "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": 0,
            "DCGM_FI_DEV_ROW_REMAP_FAILURE": 0,
        }

    def labels(self) -> str:
        """As in `internal/pkg/rendermetrics/render_metrics.go`."""
        uuid = f"GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e5{self.number}"
        return (
            f'gpu="{self.number}",UUID="{uuid}",pci_bus_id="00000000:{self.number}B:00.0",device="nvidia{self.number}",'
            f'modelName="NVIDIA H100 80GB HBM3",hostname="{self.host}",DCGM_FI_DRIVER_VERSION="570.86.15"'
        )


class Exporter:
    """A page of metrics. broken: it answers with an error."""

    def __init__(self, *cards: Card) -> None:
        self.cards, self.broken = cards, False

    def page(self) -> str:
        lines = list[str]()
        for name in dict.fromkeys(name for card in self.cards for name in card.values):
            kind = "counter" if name.endswith("_ROWS") else "gauge"
            lines += [f"# HELP {name} As the exporter says.", f"# TYPE {name} {kind}"]
            lines += [f"{name}{{{card.labels()}}} {card.values[name]}" for card in self.cards if name in card.values]
        return "\n".join(lines) + "\n"

    @contextlib.contextmanager
    def serving(self) -> Iterator[int]:
        with serving(lambda _: (500 if self.broken else 200, "text/plain; version=0.0.4", self.page())) as port:
            yield port


@contextlib.contextmanager
def serving(answer: Any) -> Iterator[int]:
    """A server on a free port. answer: from a handler to the code, the type and the text."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            code, kind, text = answer(self)
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            with contextlib.suppress(OSError):  # who asked may have gone
                self.wfile.write(text.encode())

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Lab:
    """node: the exporter of node `127.0.0.1`, which has two GPUs. other: that of `gpu-8`, with one and nothing else."""

    login = ("elias", "a-password")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.node = Exporter(Card(0, "lab"), Card(1, "lab"))
        self.other = Exporter(Card(0, "gpu-8"))
        self.port = free_port()
        self._parts = ExitStack()
        self._server = ExitStack()

    @contextlib.contextmanager
    def running(self) -> Iterator["Lab"]:
        with self._parts:
            machine, cards, other = (
                free_port(),
                *(self._parts.enter_context(e.serving()) for e in (self.node, self.other)),
            )
            flags = [f"--web.listen-address=127.0.0.1:{machine}", "--log.level=error"]
            self._parts.enter_context(_running(self.folder, "prometheus-node-exporter", machine, "/", *flags))
            jobs = {
                "node": [{"targets": [f"127.0.0.1:{machine}"]}],
                "dcgm": [
                    {"targets": [f"127.0.0.1:{cards}"]},
                    {"targets": [f"127.0.0.1:{other}"], "labels": {"instance": "gpu-8.example.org:9400"}},
                ],
            }
            scrapes = [{"job_name": name, "static_configs": targets} for name, targets in jobs.items()]
            config = {"global": {"scrape_interval": "2s", "scrape_timeout": "2s"}, "scrape_configs": scrapes}
            (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config))
            self._parts.callback(self.stop)
            self.start()
            yield self

    def start(self, *more: str) -> None:
        flags = ["--config.file=prometheus.yml", f"--web.listen-address=127.0.0.1:{self.port}", *more]
        flags += ["--storage.tsdb.path=series", "--log.level=error"]
        self._server.enter_context(_running(self.folder, "prometheus", self.port, "/-/ready", *flags))

    def start_guarded(self, cert: Path, key: Path) -> None:
        """By TLS, for who has the login."""
        hashed = "$2b$04$0JR0KtIowsX1aQx87apDMO3Wrf7pKhAgG6QqM3t4UM2pATDWqUWeW"  # of the password above
        web = {
            "tls_server_config": {"cert_file": str(cert), "key_file": str(key)},
            "basic_auth_users": {"elias": hashed},
        }
        (self.folder / "web.yml").write_text(yaml.safe_dump(web))
        self.start("--web.config.file=web.yml")

    def stop(self) -> None:
        self._server.close()

    def settings(self, **more: Any) -> Prometheus:
        return Prometheus(**{"url": f"http://127.0.0.1:{self.port}", **more})


@contextlib.contextmanager
def _running(folder: Path, name: str, port: int, ready: str, *flags: str) -> Iterator[None]:
    log = folder / f"{name}.log"
    with log.open("ab") as out:
        process = subprocess.Popen([program(name), *flags], cwd=folder, stdout=out, stderr=out)
    try:
        until(lambda: process.poll() is not None or _answers(port, ready))
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(60)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status in (200, 400)  # 400: to who speaks in clear where TLS is wanted
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
