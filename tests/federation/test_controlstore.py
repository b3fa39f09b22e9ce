"""Where Ray keeps its control store: who gets in, what is cleared and what never is, on a real Redis."""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from federation.errors import Refused, Temporary
from federation.runtime import controlstore
from federation.runtime.controlstore import Kept, Store
from federation.runtime.redis import Server
from federation.runtime.settings import RedisSettings
from tests.e2e.waiting import until
from tests.federation.redis_server import PASSWORD, RedisServer
from tests.ports import free_port

CLUSTER, OTHER = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer.running() as server:
        yield server


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "ray.token"
    path.write_text("of this cluster")
    return path


def named(cluster: str, term: int, start: int) -> str:
    return f"elias-{cluster}-{term}-{start:08x}"


@pytest.mark.parametrize(
    ("theirs", "older"),
    [
        (named(CLUSTER, 6, 1), True),
        (named(CLUSTER, 7, 1), True),
        (named(CLUSTER, 7, 2), False),
        (named(CLUSTER, 8, 1), False),
        (named(OTHER, 6, 1), False),
        ("default", False),
        ("", False),
    ],
    ids=["a term before", "a start before", "itself", "a term after", "another cluster", "another Ray", "nothing"],
)
def test_what_a_control_store_outlives(theirs: str, older: bool) -> None:
    assert Store(Server(""), named(CLUSTER, 7, 2)).outlives(theirs) is older


def test_a_start_clears_what_is_older_and_never_what_is_not(redis: RedisServer, token: Path) -> None:
    store = Store.new(redis.settings, token, term=7)
    cluster = store.namespace.split("-")[1]
    kept = {named(cluster, 8, 1), named(OTHER, 1, 1)}
    gone = {named(cluster, term, 1) for term in (0, 6, 7)}
    with Server.of(redis.settings).connected() as connection:
        for namespace in (*kept, *gone, store.namespace):
            for number in range(40):
                connection.hset(f"RAY{namespace}@TABLE{number}", "a key", b"\x00a value\r\n")
    begun = controlstore.begun(redis.settings, token, 7, pytest.fail)
    assert begun is not None
    assert begun.namespace != store.namespace, "no start takes the namespace of another"
    assert redis.namespaces() == kept
    msgspec.structs.replace(begun, namespace=named(cluster, 8, 1)).clear()
    assert redis.namespaces() == {named(OTHER, 1, 1)}


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ("password", Refused, "invalid username-password pair"),
        ("empty", Refused, "it is empty"),
        ("missing", Refused, "No such file"),
        ("nobody", Temporary, "does not answer"),
        ("stranger", Temporary, "is no Redis"),
        ("open", Refused, "without any password configured"),
    ],
)
def test_without_a_usable_redis_ray_starts_all_the_same_and_somebody_is_told(
    redis: RedisServer, token: Path, tmp_path: Path, wrong: str, error: type[Exception], says: str
) -> None:
    settings, secret = redis.settings, tmp_path / "password"
    if wrong in ("password", "empty"):
        secret.write_text("not-it" if wrong == "password" else "\n")
    if wrong in ("password", "empty", "missing"):
        settings = settings.model_copy(update={"password_file": secret})
    with socket.create_server(("127.0.0.1", 0)) as stranger, RedisServer.running(password="") as guileless:
        threading.Thread(target=greets, args=(stranger,), daemon=True).start()
        ports = {"nobody": free_port(), "stranger": stranger.getsockname()[1], "open": guileless.port}
        if wrong in ports:
            settings = settings.model_copy(update={"url": f"redis://127.0.0.1:{ports[wrong]}"})
        with pytest.raises(error, match=says), Server.of(settings).connected():
            pass
        told = list[str]()
        assert controlstore.begun(settings, token, 0, told.append) is None
        stranger.shutdown(socket.SHUT_RDWR)
    assert [says in words and "in memory this time" in words for words in told] == [True]


def greets(stranger: socket.socket) -> None:
    """Whoever comes, as another kind of server does."""
    while True:
        try:
            line, _ = stranger.accept()
        except OSError:
            return
        with line:
            line.sendall(b"220 mail.example ESMTP\r\n")


def test_nobody_is_told_where_no_redis_is_set(token: Path) -> None:
    assert controlstore.begun(RedisSettings(), token, 0, pytest.fail) is None


def test_tls_is_with_the_one_whose_certificate_we_trust(tmp_path: Path) -> None:
    with RedisServer.running(tls=True) as server, RedisServer.running(tls=True) as other:
        with Server.of(server.settings).connected() as connection:
            assert connection.ping() is True
        strange = server.settings.model_copy(update={"ca_file": other.settings.ca_file})
        with pytest.raises(Temporary, match="certificate"), Server.of(strange).connected():
            pass


def test_the_password_goes_to_the_control_store_alone(
    redis: RedisServer, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.new(redis.settings, token, 3)
    for name, value in store.handing().items():
        monkeypatch.setenv(name, value)
    assert PASSWORD not in f"{store.handing()}{store.flags()}"
    handed = Store.handed()
    assert handed == store
    assert controlstore.STORE not in os.environ
    assert handed.environment() == {
        "FLAGS_redis_password": PASSWORD,
        "RAY_external_storage_namespace": store.namespace,
    }
    assert Store.handed() is None


def test_what_ends_unasked_is_started_again_and_what_was_ended_is_not() -> None:
    def start() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(["sleep", "600"])

    first = start()
    kept = Kept(first, start)
    assert kept.poll() is None
    assert kept.pid == first.pid
    first.kill()
    first.wait()
    assert kept.poll() is None
    assert kept.pid != first.pid
    kept.terminate()
    assert until(lambda: kept.poll() is not None)
    assert kept.poll() == kept.returncode
