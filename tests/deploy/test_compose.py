"""The files of docker compose, by docker-compose's own schema, and by what they say. No engine runs them here."""

import re
import shutil
import subprocess
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from federation.runtime.settings import RedisSettings
from federation.settings import load
from managers.uim import tls
from managers.uim.doctor.redis import observe
from tests.ports import free_port
from tests.programs import program

from .commands import DEPLOY, every, mode, parsed, started
from .monitoring import _running as running
from .monitoring import get, until
from .serving import serving

COMPOSE = DEPLOY / "compose"


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


@pytest.mark.parametrize("names", [("compose",), ("compose", "gpu"), ("machines",)], ids="-".join)
def test_compose_understands_the_files(composed: Path, names: tuple[str, ...]) -> None:
    """Debian's docker-compose knows all that is in them but `name`, which came later."""
    command = [program("docker-compose")]
    for name in names:
        path = composed / f"{name}.yaml"
        path.write_text(re.sub(r"^name: elias\n", "", path.read_text(), flags=re.MULTILINE))
        command += ["--file", str(path)]
    ran = subprocess.run([*command, "config"], cwd=composed, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert yaml.safe_load(ran.stdout)["services"]


@pytest.mark.parametrize("name", ["compose", "machines"])
def test_a_service_has_no_rights_and_writes_where_it_was_told(name: str) -> None:
    for service, found in read(COMPOSE / f"{name}.yaml")["services"].items():
        assert found["read_only"], service
        assert found["cap_drop"] == ["ALL"], service
        assert found["security_opt"] == ["no-new-privileges:true"], service
        assert not found.keys() & {"privileged", "cap_add", "pid", "ipc", "devices", "userns_mode"}, service
        assert found["pids_limit"], service


def test_every_service_says_how_it_is_and_what_it_may_take() -> None:
    services = read(COMPOSE / "compose.yaml")["services"]
    assert set(services) == {"postgres", "redis", "elias", "prometheus", "alertmanager", "grafana"}
    for name, found in services.items():
        assert {"healthcheck", "mem_limit", "cpus", "volumes"} <= found.keys(), name
        assert re.search(r":v?\d+\.\d+", found["image"].partition("}")[0]), f"{name}: which version?"
        for condition in found.get("depends_on", {}).values():
            assert condition == {"condition": "service_healthy"}
    for condition in every(services, "depends_on"):
        assert condition.keys() <= services.keys()


def test_secrets_are_files_that_only_the_owner_of_the_folder_reaches(composed: Path) -> None:
    secrets = composed / "secrets"
    assert mode(secrets) == 0o700
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    passwords = [before[f"{name}-password"] for name in ("postgres", "redis", "grafana")]
    assert [len(one) for one in passwords] == [48, 48, 48]
    assert len(set(passwords)) == 3
    subprocess.run([composed / "secrets.sh"], check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before
    files = {secret["file"] for secret in read(COMPOSE / "compose.yaml")["secrets"].values()}
    assert files == {f"./secrets/{name}" for name in before.keys() - {"machine.yaml", "cluster.join"}}
    assert (COMPOSE / ".gitignore").read_text().splitlines()[-1] == "secrets/"


def test_the_settings_that_are_made_are_settings_of_elias(composed: Path) -> None:
    settings = load(composed / "secrets" / "elias.yaml")
    password = (composed / "secrets" / "postgres-password").read_text()
    assert settings.ledger.url == f"postgresql://elias:{password}@postgres/elias"
    assert str(settings.state) == "/var/lib/elias/state"
    assert (settings.ray.redis.url, str(settings.ray.redis.password_file)) == (
        "redis://redis:6379",
        "/run/secrets/redis-password",
    )


def test_redis_asks_for_the_password_that_elias_has(composed: Path) -> None:
    """A real one, with this configuration."""
    config, port = composed / "secrets" / "redis.conf", free_port()
    config.write_text(config.read_text().replace("dir /data", f"dir {composed}\nport {port}\nbind 127.0.0.1"))
    with subprocess.Popen([program("redis-server"), config], stdout=subprocess.DEVNULL) as server:
        try:
            secret = composed / "secrets" / "redis-password"
            settings = RedisSettings(url=f"redis://127.0.0.1:{port}", password_file=secret)
            assert until(lambda: not (seen := observe(settings)).problem and not seen.anybody)
        finally:
            server.kill()


def test_tokens_are_made_by_commands_that_there_are(composed: Path) -> None:
    """`watch.sh`, with somebody in docker's place who answers as ELIAS does."""
    docker = composed / "docker"
    docker.write_text('#!/bin/sh\necho "$@" >> asked\necho "answer to $7"\n')
    docker.chmod(0o755)
    subprocess.run(
        ["sh", "watch.sh"], cwd=composed, env={"PATH": f"{composed}:/usr/bin:/bin"}, check=True, capture_output=True
    )
    asked = [line.split()[4:] for line in (composed / "asked").read_text().splitlines()]
    assert asked[0] == ["cat", "/var/lib/elias/state/tls/cert.pem"]
    made = [parsed(*words[1:]) for words in asked[1:] if words[0] == "elias"]
    assert [(name, options["scope"]) for name, options in made] == [
        ("tokens new", ["read"]),
        ("tokens new", ["events"]),
    ]
    assert all(options["days"] <= 366 for _, options in made)
    for name in ("elias.crt", "prometheus-token", "alertmanager-token"):
        assert (composed / "secrets" / name).read_text().startswith("answer")


def _unaddressed(text: str) -> str:
    """A configuration without what differs: where the others are, and how one knows them."""
    for here in (
        "127.0.0.1:8600",
        "elias:8600",
        "127.0.0.1:9093",
        "alertmanager:9093",
        "127.0.0.1:9090",
        "prometheus:9090",
    ):
        text = text.replace(here, "there")
    found = yaml.safe_load(re.sub(r"https?://", "", text))
    for one in (*found.get("scrape_configs", ()), *every(found, "http_config")):
        one.pop("scheme", None)
        one.pop("tls_config", None)
    return re.sub(r"'credentials_file': '[^']*'", "'credentials_file'", str(found))


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("prometheus.yml", "prometheus/prometheus.yml"),
        ("alertmanager.yml", "alertmanager/alertmanager.yml"),
        ("datasource.yml", "grafana/provisioning/datasources/prometheus.yml"),
    ],
)
def test_who_watches_is_configured_as_without_containers_but_for_addresses(name: str, like: str) -> None:
    assert _unaddressed((COMPOSE / name).read_text()) == _unaddressed((DEPLOY / like).read_text())


class Figures(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.headers["Authorization"] == "Bearer a token"
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"elias_info 1\n" if known else b"")

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


def test_prometheus_knows_elias_by_the_certificate_that_is_copied(composed: Path) -> None:
    """A real one, with this configuration, asks a server that has a certificate of ELIAS's own making and no other."""
    pair = tls.ours(composed)
    tls._make(pair, tls._names(load(composed / "secrets" / "elias.yaml").listen))
    config = (composed / "prometheus.yml").read_text()
    for name, content in (("elias.crt", pair.cert.read_text()), ("prometheus-token", "a token\n")):
        (composed / "secrets" / name).write_text(content)
        config = config.replace(f"/run/secrets/{name}", f"secrets/{name}")
    shutil.copy(composed.parent / "prometheus" / "elias.rules.yml", composed)
    port = free_port()
    command = ["--config.file=prometheus.yml", "--storage.tsdb.path=series", f"--web.listen-address=127.0.0.1:{port}"]

    def health() -> str:
        found = get(f"http://127.0.0.1:{port}/api/v1/targets")["data"]["activeTargets"]
        return " ".join(f"{one['health']} {one['lastError']}".strip() for one in found if one["health"] != "unknown")

    with serving(Figures, pair) as elias:
        config = config.replace("elias:8600", f"localhost:{elias}").replace("15s", "1s")
        (composed / "prometheus.yml").write_text(config)
        with running(composed, "prometheus", port, *command):
            assert until(health) == "up"


def test_the_configurations_are_sound() -> None:
    for command in (
        [program("promtool"), "check", "config", "--syntax-only", "prometheus.yml"],
        [program("amtool"), "check-config", "alertmanager.yml"],
    ):
        ran = subprocess.run(command, cwd=COMPOSE, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", ["compose", "machines"])
def test_what_is_mounted_is_there_and_declared(name: str) -> None:
    found = read(COMPOSE / f"{name}.yaml")
    for service in found["services"].values():
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert (COMPOSE / source).exists() if source.startswith(".") else source in found["volumes"], volume
        for secret in service.get("secrets", ()):
            assert (secret["source"] if isinstance(secret, dict) else secret) in found["secrets"]
        assert set(service.get("networks", ())) <= found.get("networks", {}).keys()


def test_containers_of_elias_start_commands_that_there_are(tmp_path: Path) -> None:
    machines = read(COMPOSE / "machines.yaml")["services"]
    commands = {**{name: one["command"] for name, one in machines.items()}, "one": ["up"]}
    assert read(COMPOSE / "compose.yaml")["services"]["elias"]["command"] == commands["one"]
    for name, words in commands.items():
        (tmp_path / name).mkdir()
        parsed(*started(tmp_path / name, *(word.replace("${ELIAS_HEAD:-}", "127.0.0.1") for word in words)))
