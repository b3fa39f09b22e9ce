import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from federation.errors import Refused
from federation.settings import Listen, Settings
from managers.uim import launch, tls

from ..conftest import until


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state=tmp_path, listen=Listen(tls=True, hosts=("elias.example",)))


@pytest.fixture
def served(settings: Settings) -> Iterator[int]:
    """The port of a server with the certificate of our own making."""
    pair = tls.serving(settings)
    assert pair is not None
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("here"))])
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        config = uvicorn.Config(app, ssl_certfile=pair.cert, ssl_keyfile=pair.key, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        until(lambda: server.started)
        yield int(listening.getsockname()[1])
        server.should_exit = True
        thread.join(10)


def test_the_certificate_of_our_own_is_for_its_names_and_its_key_for_its_owner(settings: Settings) -> None:
    pair = tls.serving(settings)
    assert pair is not None
    assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600
    text = ssl._ssl._test_decode_cert(str(pair.cert))  # type: ignore[attr-defined]
    assert {value for _, value in text["subjectAltName"]} >= {"localhost", "127.0.0.1", "elias.example"}
    assert tls.serving(settings) == pair
    before = pair.cert.read_text()
    tls.serving(settings)
    assert pair.cert.read_text() == before


def test_another_name_is_another_certificate(settings: Settings) -> None:
    pair = tls.serving(settings)
    assert pair is not None
    before = pair.cert.read_text()
    tls.serving(settings.model_copy(update={"listen": Listen(tls=True, hosts=("other.example",))}))
    assert pair.cert.read_text() != before


def test_a_command_trusts_this_certificate_and_no_other(settings: Settings, served: int, tmp_path: Path) -> None:
    cert = tls.ours(settings.state).cert.read_text()
    assert httpx.get(f"https://127.0.0.1:{served}/", verify=tls.pinned(cert)).text == "here"
    other = Settings(state=tmp_path / "other", listen=Listen(tls=True))
    pair = tls.serving(other)
    assert pair is not None
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"https://127.0.0.1:{served}/", verify=tls.pinned(pair.cert.read_text()))
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"https://127.0.0.1:{served}/")


def test_a_sign_in_sends_no_password_where_the_fingerprint_differs(served: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "managers.uim.cli", "login", f"https://127.0.0.1:{served}", "--fingerprint", "AA"]
    more = {"capture_output": True, "text": True, "cwd": tmp_path, "timeout": 240}
    ended = subprocess.run(command, check=False, input="secret\n", **more)
    assert ended.returncode == 1
    assert "the certificate there has the fingerprint" in ended.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "elias.example"])
def test_nothing_is_served_in_the_clear_to_other_machines(tmp_path: Path, host: str) -> None:
    with pytest.raises(Refused, match="nothing encrypts what they send"):
        launch.up(Settings(state=tmp_path, listen=Listen(host=host)), print)
    tls.check(Listen(host=host, tls=True))
    tls.check(Listen(host=host, behind_proxy=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "localhost", "::1"])
def test_on_loopback_plain_http_will_do(host: str) -> None:
    tls.check(Listen(host=host))


def test_files_that_are_no_certificate_are_refused_with_their_place(tmp_path: Path) -> None:
    cert, key = tmp_path / "c.pem", tmp_path / "k.pem"
    cert.write_text("no")
    key.write_text("no")
    with pytest.raises(Refused) as refused:
        tls.serving(Settings(state=tmp_path, listen=Listen(tls=True, cert=cert, key=key)))
    assert refused.value.place == str(cert)


def test_the_commands_know_of_the_flag(tmp_path: Path) -> None:
    plain = Settings(state=tmp_path / "state")
    tls.remember(plain, True)
    assert stat.S_IMODE(plain.state.stat().st_mode) == 0o700
    assert tls.as_started(plain).listen.tls
    tls.remember(plain, False)
    assert not tls.as_started(plain).listen.tls
