"""ELIAS as a user runs it, beside a Kubernetes (a stand-in for its API server): what is shown, emptied, brought back,
and said when it is away."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.running import Running
from federation.settings import shipped_specs
from tests.e2e.waiting import until
from tests.kubernetes.apiserver import ApiServer

SETTINGS = """
specs: specs
telemetry:
  interval: 1s
ledger:
  tick: 1s
kubernetes:
  enabled: true
  kubeconfig: {kubeconfig}
  every: 1s
  update: true
  evict: [controlled]
"""


@pytest.fixture
def elias(tmp_path: Path, api: ApiServer) -> Iterator[Running]:
    shutil.copytree(shipped_specs(), tmp_path / "specs")
    spec = tmp_path / "specs" / "ufm" / "load_balancing.tiki"
    spec.write_text(spec.read_text().replace("health_check_interval: 30s", "health_check_interval: 1s"))
    with Running(tmp_path, SETTINGS.format(kubeconfig=api.kubeconfig())) as running:
        yield running


def cli(elias: Running, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*elias.command, *arguments]
    return subprocess.run(command, cwd=elias.folder, check=True, capture_output=True, text=True, timeout=120)


def nodes(elias: Running) -> dict[str, Any]:
    return {node["name"]: node for node in elias.get("/v1/nodes")[1]["nodes"]}


def test_a_day_with_kubernetes(elias: Running, api: ApiServer) -> None:
    until(lambda: {"kubernetes:a1", "kubernetes:a2"} <= nodes(elias).keys())
    rows = {row[0]: row[1:] for row in (line.split("\t") for line in cli(elias, "kubernetes").stdout.splitlines())}
    cards = "2 of 8 NVIDIA-H100-80GB-HBM3"
    assert rows["kubernetes:a1"] == ["up", "Ready", "1.5 of 7.91", "16.0 GiB", cards, "3", "east", ""]
    assert "4 pods run, 0 wait" in rows

    for action in ("drain", "readmit"):
        cli(elias, "mode", f"ufm.node_health/{action}", "act")
    api.condition("a1", "Ready", "Unknown")
    until(lambda: api.on("a1") == {"agent-1", "proxy-a1", "over"})
    decision = api.objects["nodes"]["a1"]["metadata"]["annotations"]["elias/decision"]
    assert until(lambda: elias.get(f"/v1/decisions/{decision}")[1].get("outcome")) == "done"
    until(lambda: nodes(elias)["kubernetes:a1"]["status"] == "drained")
    api.condition("a1", "Ready", "True")
    until(lambda: not api.cordoned("a1"))
    until(lambda: nodes(elias)["kubernetes:a1"]["status"] == "up")

    api.kubectl("a2", cordon=True)
    until(lambda: nodes(elias)["kubernetes:a2"]["status"] == "held")
    assert "kubectl-cordon: cordoned" in cli(elias, "kubernetes").stdout
    for page in ("/nodes", "/nodes/kubernetes:a2"):
        assert "by kubectl-cordon: cordoned" in elias.get(page)[1]

    right, api.token = api.token, "another"
    until(lambda: elias.get("/v1/nodes")[1]["problem"])
    assert {nodes(elias)[f"kubernetes:{name}"]["status"] for name in ("a1", "a2")} == {"unknown"}
    words = "Kubernetes is out of sight, and nothing is known of its nodes"
    assert words in cli(elias, "status").stdout
    assert words in cli(elias, "nodes").stderr
    assert words in elias.get("/nodes")[1]
    api.token = right
    until(lambda: not elias.get("/v1/nodes")[1]["problem"])
    assert api.cordoned("a2")
