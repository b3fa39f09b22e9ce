"""The images: by hadolint, by what they copy, and by running what a container starts with. Nothing builds them here."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from federation.settings import Listen, load
from managers.uim import tls

from .commands import CONTAINER, DEPLOY, ROOT, mode, parsed, started
from .serving import serving

CONTAINERS = DEPLOY / "containers"
CONTAINERFILE = (CONTAINERS / "Containerfile").read_text()
HEALTHY = CONTAINERS / "healthy.py"


def test_the_containerfile_is_sound() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    command = [hadolint, "--failure-threshold", "info", CONTAINERS / "Containerfile"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stdout


def test_both_images_run_as_a_user_by_number_behind_an_init() -> None:
    stages = re.split(r"^FROM ", CONTAINERFILE, flags=re.MULTILINE)[1:]
    images = {stage.split()[2]: stage for stage in stages}
    assert [name for name in images if name in ("cpu", "gpu")] == ["gpu", "cpu"]
    for name in ("base", "gpu", "cpu"):
        users = re.findall(r"^USER (.+)$", images[name], re.MULTILINE)
        assert users[-1:] in ([], ["10001:10001"])
    assert 'ENTRYPOINT ["/usr/bin/tini", "--", "elias-container"]' in images["base"]
    assert "HEALTHCHECK" in images["base"]
    assert images["gpu"].startswith("base AS gpu")
    assert images["cpu"].startswith("base AS cpu")


def test_an_image_gets_the_packages_and_their_data_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    for files in project["tool"]["setuptools"]["data-files"].values():
        wanted |= {str(Path(pattern).parent) for pattern in files}
    source = CONTAINERFILE.partition("AS source")[2].partition("\nFROM ")[0]
    copied = re.findall(r"^COPY (.+) \S+$", source, re.MULTILINE)
    assert set(" ".join(copied).split()) == wanted | {"pyproject.toml", "README.md"}
    ignored = (CONTAINERS / "Containerfile.dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert sent == wanted | {"pyproject.toml", "README.md", "deploy/containers"}
    assert "*" in ignored


def test_the_settings_of_an_image_serve_https_and_nothing_in_clear() -> None:
    settings = load(CONTAINERS / "elias.yaml")
    assert (settings.listen.tls, settings.listen.loopback) == (True, False)
    assert str(settings.state) == "/var/lib/elias/state"
    tls.check(settings.listen)


@pytest.mark.parametrize(
    ("words", "name", "options"),
    [
        (["up"], "up", {"head": False}),
        (["status"], "status", {}),
        (["head"], "up", {"head": True}),
        (["head", "--tls", "--label=storage"], "up", {"head": True, "tls_": True, "label": ["storage"]}),
        (["node", "localhost"], "join", {"head": "127.0.0.1"}),
        (["node", "127.0.0.1", "--label=a", "--label=b"], "join", {"label": ["a", "b"]}),
    ],
    ids=lambda one: "-".join(one) if isinstance(one, list) else "",
)
def test_a_container_starts_a_command_that_there_is(
    tmp_path: Path, words: list[str], name: str, options: dict[str, object]
) -> None:
    found, given = parsed(*started(tmp_path, *words))
    assert found == name
    assert options.items() <= given.items()


def test_a_wrong_option_in_a_file_would_be_noticed(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"No such option.*labl"):
        parsed(*started(tmp_path, "node", "127.0.0.1", "--labl=a"))


def test_an_invitation_is_handed_over_so_that_its_owner_alone_reads_it(tmp_path: Path) -> None:
    words = started(tmp_path, "node", "127.0.0.1", invitation="a secret")
    copy = Path(parsed(*words)[1]["token_file"])
    assert (copy.read_text(), mode(copy)) == ("a secret", 0o600)


@pytest.mark.parametrize(
    ("invitation", "enrolled", "asked"),
    [("{}", False, True), ("", False, False), ("{}", True, False)],
    ids=["invited", "the first head", "enrolled already"],
)
def test_a_head_is_enrolled_once(tmp_path: Path, invitation: str, enrolled: bool, asked: bool) -> None:
    words = started(tmp_path, "head", invitation=invitation, enrolled=enrolled)
    assert (parsed(*words)[1]["token_file"] is not None) is asked


def test_a_node_without_a_head_says_so(tmp_path: Path) -> None:
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    (tmp_path / "mounted").touch()
    environment["ELIAS_INVITATION"] = str(tmp_path / "mounted")
    command = [CONTAINER, "node", "no-such-head.invalid"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "no-such-head.invalid" in ran.stderr
    assert "is there a head already?" in ran.stderr


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def healthy() -> dict[str, Callable[..., bool]]:
    """What is in the check of a container."""
    found: dict[str, Callable[..., bool]] = {"__name__": "healthy"}  # type: ignore[dict-item]
    exec(compile(HEALTHY.read_text(), HEALTHY, "exec"), found)
    return found


@pytest.mark.parametrize("secure", [True, False], ids=["https", "http"])
def test_a_container_that_serves_is_healthy(
    healthy: dict[str, Callable[..., bool]], tmp_path: Path, secure: bool
) -> None:
    pair = tls.ours(tmp_path) if secure else None
    if pair is not None:
        tls._make(pair, tls._names(Listen(tls=True)))
    with serving(Health, pair) as port:
        assert healthy["serves"](port)
    assert not healthy["serves"](port)


def test_a_container_that_has_joined_is_healthy_while_its_agent_is_up(
    healthy: dict[str, Callable[..., bool]], tmp_path: Path
) -> None:
    sign = tmp_path / "nodes" / "gpu-0" / "agent.up"
    sign.parent.mkdir(parents=True)
    sign.touch()
    assert not healthy["joined"](tmp_path)  # of a head that has ended
    (tmp_path / "joined.token").touch()
    assert healthy["joined"](tmp_path)
    sign.unlink()
    assert not healthy["joined"](tmp_path)
