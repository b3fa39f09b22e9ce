"""Whether what the settings name is reached: real connections, real TLS, and nothing sent that is a secret."""

import http.server
import queue
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from federation.settings import Settings
from managers.uim.doctor import reach
from managers.uim.doctor.endpoints import Endpoint, endpoints
from managers.uim.doctor.reach import Answer
from tests.ports import free_port

from .certificates import made
from .sections import names

AT = Endpoint("targets.hook", "hook.example", 443, True)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(), "reach.answers"),
        (Answer(problem="Connection refused"), "reach.silent"),
        (Answer(tls="certificate has expired"), "reach.tls"),
        (Answer(status=200), "reach.answers"),
        (Answer(status=503), "reach.ill"),
        (Answer(status=-1), "reach.ill"),
    ],
)
def test_what_an_answer_means(answer: Answer, code: str) -> None:
    found = reach.judge(AT, answer)
    assert (found.code, found.place, "hook.example:443" in found.seen) == (code, "targets.hook", True)


def chosen(**sections: object) -> Settings:
    return Settings.model_validate(sections)


def test_every_address_of_the_settings_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT", "https://chat.example/services/T0/B0/planted")
    mail = {"kind": "email", "sender": "a@b", "to": ["a@b"]}
    settings = chosen(
        policy={"engine": "vllm", "replicas": ["http://gpu1:8700", "http://gpu2:8700/"], "model": "m"},
        advisors={
            "providers": [
                {"kind": "anthropic", "model": "m", "key_env": "KEY"},
                {"kind": "openai", "model": "m", "base_url": "http://localhost:11434/v1"},
            ]
        },
        targets={
            "hook": {"kind": "webhook", "url": "https://ada:pw@hook.example/x"},
            "chat": {"kind": "slack", "url_env": "CHAT"},
            "lost": {"kind": "slack", "url_env": "NOT_SET"},
            "mail": {**mail, "host": "m1"},
            "mails": {**mail, "host": "m2", "tls": "tls"},
        },
        alertmanager={"url": "http://alerts:9093"},
        prometheus={"url": "https://measures"},
        peers={"name": "east", "known": {"west": {"url": "https://west.example:8610", "card": "west.card"}}},
        mlflow={"uri": "https://mlflow.example"},
        telemetry={"traces": {"endpoint": "http://traces:4318/v1/traces"}},
        access={"oidc": {"issuer": "https://login.example/realm", "client_id": "e", "roles": {}}},
    )
    found = {one.setting: (one.at, one.tls, one.health) for one in endpoints(settings)}
    assert found == {
        "policy.replicas.0": ("gpu1:8700", False, "http://gpu1:8700/health"),
        "policy.replicas.1": ("gpu2:8700", False, "http://gpu2:8700/health"),
        "advisors.providers.0": ("api.anthropic.com:443", True, ""),
        "advisors.providers.1": ("localhost:11434", False, ""),
        "targets.hook": ("hook.example:443", True, ""),
        "targets.chat": ("chat.example:443", True, ""),
        "targets.mail": ("m1:587", False, ""),
        "targets.mails": ("m2:465", True, ""),
        "alertmanager.url": ("alerts:9093", False, ""),
        "prometheus.url": ("measures:443", True, ""),
        "telemetry.traces.endpoint": ("traces:4318", False, ""),
        "peers.known.west.url": ("west.example:8610", False, ""),
        "mlflow.uri": ("mlflow.example:443", True, ""),
        "access.oidc.issuer": ("login.example:443", True, ""),
    }
    assert list(endpoints(Settings())) == []


def test_what_is_no_address_is_told_and_holds_up_nothing() -> None:
    hook = {"kind": "webhook", "url": "http://[::1:99999/x"}
    (found,) = reach.of(chosen(targets={"hook": hook}), 60)
    assert (found.code, found.place) == ("reach.silent", "targets.hook")


def test_no_setting_that_names_an_address_is_unknown_to_the_doctor() -> None:
    known = {"PolicySettings.replicas", "Provider.base_url", "Webhook.url", "Email.host", "Alertmanager.url"}
    known |= {"Prometheus.url"}
    known |= {"MlflowSettings.uri", "Traces.endpoint", "Oidc.issuer", "Peer.url"}
    elsewhere = {"LedgerSettings.url", "Listen.url", "Listen.host", "RaySettings.address"}  # of other checks
    elsewhere |= {"PeersSettings.host", "RedisSettings.url"}
    assert names("url", "uri", "endpoint", "issuer", "replicas", ".host", ".address") == known | elsewhere


def test_behind_a_proxy_it_is_the_proxy_that_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    (one,) = endpoints(chosen(targets={"hook": {"kind": "webhook", "url": "https://hook.example"}}))
    assert (one.at, one.via, one.tls) == ("proxy.example:3128", "hook.example:443", False)


@contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[tuple[int, "queue.Queue[bytes]"]]:
    """A server that says nothing: its port, and what it was sent."""
    sent: queue.Queue[bytes] = queue.Queue()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(line, server_side=True) if context else line as safe:
                        sent.put(safe.recv(1000))
                except OSError:  # the client does not trust us
                    line.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], sent
        server.shutdown(socket.SHUT_RDWR)
        thread.join(60)


def codes(settings: Settings) -> list[str]:
    return [one.code for one in reach.of(settings, 60)]


def test_a_connection_is_made_and_nothing_is_sent() -> None:
    with listening() as (port, sent):
        hook = {"kind": "webhook", "url": f"http://ada:pw@127.0.0.1:{port}/x"}
        assert codes(chosen(targets={"hook": hook})) == ["reach.answers"]
        assert sent.get(timeout=60) == b""
    assert codes(chosen(targets={"hook": hook})) == ["reach.silent"]


@pytest.mark.parametrize(("trusted", "code"), [(True, "reach.answers"), (False, "reach.tls")])
def test_a_certificate_is_checked_against_those_that_are_trusted(tmp_path: Path, trusted: bool, code: str) -> None:
    pair = made(tmp_path / "server", 365, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    with listening(context) as (port, _):
        mail = {"kind": "email", "host": "127.0.0.1", "port": port, "tls": "tls", "sender": "a@b", "to": ["a@b"]}
        if trusted:
            mail["ca_file"] = pair.cert
        assert codes(chosen(targets={"mail": mail})) == [code]


def test_an_expired_certificate_is_named(tmp_path: Path) -> None:
    pair = made(tmp_path / "server", -1, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    with listening(context) as (port, _):
        answer = reach.observe(Endpoint("x", "127.0.0.1", port, True, ca=pair.cert))
    assert "expired" in answer.tls


def test_what_does_not_speak_tls() -> None:
    class Plain(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Plain) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answer = reach.observe(Endpoint("x", "127.0.0.1", server.server_address[1], True))
        server.shutdown()
    assert answer.tls or answer.problem


@pytest.mark.parametrize(("status", "code"), [(200, "reach.answers"), (503, "reach.ill")])
def test_a_vllm_server_is_asked_for_its_health_without_its_key(tmp_path: Path, status: int, code: str) -> None:
    asked: list[tuple[str, str | None]] = []

    class Health(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Authorization")))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    (tmp_path / "key").write_text("planted")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        urls = [f"http://127.0.0.1:{server.server_address[1]}", f"http://127.0.0.1:{free_port()}"]
        policy = {"engine": "vllm", "replicas": urls, "model": "m", "key_file": tmp_path / "key"}
        assert codes(chosen(policy=policy)) == [code, "reach.silent"]
        server.shutdown()
    assert asked == [("/health", None)]
