"""The file of Ray's cluster launcher, by the launcher's own schema, and by what it says."""

import re
import shlex
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config

from federation import privatefile
from federation.runtime import credentials
from federation.runtime.certificates import Authority
from federation.runtime.invitation import Invitation
from tests.e2e.waiting import until

from .commands import DEPLOY, ROOT, every, parsed

CLUSTER = DEPLOY / "ray" / "cluster.yaml"
LAUNCH = DEPLOY / "ray" / "launch.sh"


@pytest.fixture
def cluster() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(CLUSTER.read_text())
    return found


def test_the_launcher_takes_it(cluster: dict[str, Any]) -> None:
    validate_config(cluster)
    prepared = prepare_config(cluster)
    validate_config(prepared)
    (kind,) = prepared["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == len(cluster["provider"]["worker_ips"])


def test_a_setting_that_there_is_not_would_be_noticed(cluster: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="file_mount"):
        validate_config(cluster | {"file_mount": {}})


def test_its_commands_are_commands_that_there_are(cluster: dict[str, Any]) -> None:
    def told(key: str) -> list[tuple[str, dict[str, Any]]]:
        lines = [shlex.split(line) for line in cluster[key]]
        return [parsed(*words[1:]) for words in lines if words[0] == "elias/bin/elias"]

    head, node = told("head_start_ray_commands"), told("worker_start_ray_commands")
    assert [name for name, _ in head] == ["down", "up", "invite"]
    assert (head[1][1]["head"], head[1][1]["tls_"], head[1][1]["detach"]) == (True, True, True)
    assert [name for name, _ in node] == ["down", "join"]
    invitation = f"~/{head[2][1]['file']}"
    assert cluster["cluster_synced_files"] == [invitation]
    assert f"~/{node[1][1]['token_file']}" == invitation
    for name in cluster["file_mounts"].values():
        assert name.startswith("dist/") or (ROOT / name).exists()


def test_the_package_that_is_sent_is_of_this_version(cluster: dict[str, Any]) -> None:
    (version,) = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    named = {
        name
        for text in (str(one) for one in every(cluster, "file_mounts"))
        for name in re.findall(r"elias-[\d.]+-py3", text)
    }
    assert named == {f"elias-{version}-py3"}
    assert f"./elias-{version}-py3-none-any.whl" in str(cluster["setup_commands"])


def test_what_starts_the_others_shows_what_the_head_asks_for(tmp_path: Path) -> None:
    """The script, with somebody in Python's place who writes down how he was called."""
    state = tmp_path / ".elias"
    state.mkdir()
    privatefile.write(state / "ray.token", b"a token")
    authority = Authority.made()
    authority.keep(state / "ray.tls")
    authority.issue(state / "ray.tls", "10.0.0.1")
    Invitation.to("10.0.0.1:6380", state).save(tmp_path / "cluster.join")
    python = tmp_path / "elias" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        '#!/bin/sh\n{ env | grep ^RAY_; printf "%s\\n" "$@"; } > "$HOME/new"\nmv "$HOME/new" "$HOME/called"\n'
    )
    python.chmod(0o755)
    subprocess.run(["sh", LAUNCH], env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}, check=True)
    called = until(lambda: (tmp_path / "called").exists() and (tmp_path / "called").read_text()).splitlines()
    shown = dict(line.split("=", 1) for line in called if line.startswith("RAY_"))
    assert shown == credentials.environment(state)
    assert f"--gcs-address={Invitation.load(tmp_path / 'cluster.join').head}" in called
    assert find_spec(called[called.index("-m") + 1]) is not None
