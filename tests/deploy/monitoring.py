"""A real Prometheus and a real Alertmanager for tests, with the configurations that ship, something to watch, and who
takes traces.
"""

import contextlib
import http.client
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.deploy.serving import serving
from tests.ports import free_port
from tests.programs import program

DEPLOY = Path(__file__).parents[2] / "deploy"
T = TypeVar("T")


def until(look: Callable[[], T], patience: float = 120.0) -> T:
    """The first true value that `look` gives; fails after `patience` seconds with the last one."""
    deadline = time.monotonic() + patience
    while not (seen := look()):
        assert time.monotonic() < deadline, f"waited {patience:g} s, and still: {seen!r}"
        time.sleep(0.1)
    return seen


def get(url: str) -> Any:
    with urlopen(url, timeout=60) as answer:
        return json.load(answer)


@contextlib.contextmanager
def _running(folder: Path, name: str, port: int, *arguments: str) -> Iterator[str]:
    """The daemon, once it is ready; its address."""
    log = folder / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen([program(name), *arguments], cwd=folder, stdout=out, stderr=out)
    try:
        until(lambda: _ready(port) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status in (200, 401)
    except OSError:
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def alertmanager(
    folder: Path, port: int, receiver: str = "http://127.0.0.1:9/", token: str = "none", web: str = ""
) -> Iterator[str]:
    """With the configuration that ships, in a hurry. receiver: address of ELIAS's webhook. web: of its own server."""
    config = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text())
    config["route"] |= {"group_wait": "0s", "group_interval": "1s"}
    (webhook,) = config["receivers"][0]["webhook_configs"]
    (folder / "token").write_text(token)
    webhook["url"] = receiver
    webhook["http_config"]["authorization"]["credentials_file"] = str(folder / "token")
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))
    (folder / "web.yml").write_text(web)
    arguments = [
        "--config.file=alertmanager.yml",
        f"--web.listen-address=127.0.0.1:{port}",
        "--storage.path=alerts",
        "--cluster.listen-address=",
        *(["--web.config.file=web.yml"] if web else []),
    ]
    with _running(folder, "prometheus-alertmanager", port, *arguments) as url:
        yield url


@contextlib.contextmanager
def prometheus(folder: Path, elias: int, token: str, alertmanager: int, exporter: int, rules: str) -> Iterator[str]:
    """With the configuration and the rules that ship, in a hurry, and rules about what the exporter shows. By ports."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"}
    (scrape,) = config["scrape_configs"]
    (folder / "scrape-token").write_text(token)
    scrape["authorization"]["credentials_file"] = str(folder / "scrape-token")
    scrape["static_configs"] = [{"targets": [f"127.0.0.1:{elias}"]}]
    config["scrape_configs"].append({"job_name": "world", "static_configs": [{"targets": [f"127.0.0.1:{exporter}"]}]})
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]
    config["rule_files"] = ["elias.rules.yml", "world.rules.yml"]
    (folder / "elias.rules.yml").write_bytes((DEPLOY / "prometheus" / "elias.rules.yml").read_bytes())
    (folder / "world.rules.yml").write_text(rules)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    arguments = [
        "--config.file=prometheus.yml",
        f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.path=series",
    ]
    with _running(folder, "prometheus", port, *arguments) as url:
        yield url


class World:
    """An exporter: gauges that a test sets."""

    def __init__(self) -> None:
        self.gauges: dict[str, float] = {}

    @contextlib.contextmanager
    def serving(self) -> Iterator[int]:
        world = self

        class Exporter(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = "".join(f"{name} {value}\n" for name, value in world.gauges.items()).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nobody reads it."""

        with serving(Exporter) as port:
            yield port


class Collector:
    """Takes traces as OpenTelemetry's collectors do: OTLP over HTTP, in protobuf."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        self.address = ""

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Its address."""
        collector = self

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sound = self.headers["Content-Type"] == "application/x-protobuf"
                if sound:
                    collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200 if sound else 415)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Nobody reads it."""

        with serving(Receiver) as port:
            yield f"http://127.0.0.1:{port}/v1/traces"

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            self.resources.append({a.key: a.value.string_value for a in resource.resource.attributes})
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)

    def named(self, name: str, trace: str = "") -> list[Span]:
        """Of this trace; empty: of any."""
        return [one for one in self.spans if one.name == name and trace in ("", one.trace_id.hex())]


def attributes(span: Span) -> dict[str, Any]:
    return {a.key: getattr(a.value, str(a.value.WhichOneof("value"))) for a in span.attributes}
