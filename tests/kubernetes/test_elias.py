"""ELIAS as a user runs it, beside a Kubernetes (a stand-in for its API server): what is shown, emptied, brought back,
and said when it is away."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.beside import Beside
from tests.e2e.waiting import until
from tests.kubernetes.apiserver import ApiServer

SETTINGS = """
kubernetes:
  enabled: true
  kubeconfig: {kubeconfig}
  every: 1s
  update: true
  evict: [controlled]
"""


@pytest.fixture
def elias(tmp_path: Path, api: ApiServer) -> Iterator[Beside]:
    with Beside(tmp_path, SETTINGS.format(kubeconfig=api.kubeconfig())) as running:
        yield running


def test_a_day_with_kubernetes(elias: Beside, api: ApiServer) -> None:
    until(lambda: {"kubernetes:a1", "kubernetes:a2"} <= elias.nodes.keys())
    rows = elias.rows("kubernetes")
    cards = "2 of 8 NVIDIA-H100-80GB-HBM3"
    assert rows["kubernetes:a1"] == ["up", "Ready", "1.5 of 7.91", "16.0 GiB", cards, "3", "east", ""]
    assert "4 pods run, 0 wait" in rows

    for action in ("drain", "readmit"):
        elias.cli("mode", f"ufm.node_health/{action}", "act")
    api.condition("a1", "Ready", "Unknown")
    until(lambda: api.on("a1") == {"agent-1", "proxy-a1", "over"})
    decision = api.objects["nodes"]["a1"]["metadata"]["annotations"]["elias/decision"]
    assert until(lambda: elias.outcome(decision)) == "done"
    until(lambda: elias.nodes["kubernetes:a1"]["status"] == "drained")
    api.condition("a1", "Ready", "True")
    until(lambda: not api.cordoned("a1"))
    until(lambda: elias.nodes["kubernetes:a1"]["status"] == "up")

    api.kubectl("a2", cordon=True)
    until(lambda: elias.nodes["kubernetes:a2"]["status"] == "held")
    assert "kubectl-cordon: cordoned" in elias.cli("kubernetes").stdout
    for page in ("/nodes", "/nodes/kubernetes:a2"):
        assert "by kubectl-cordon: cordoned" in elias.get(page)[1]

    right, api.token = api.token, "another"
    until(lambda: elias.problem)
    assert {elias.nodes[f"kubernetes:{name}"]["status"] for name in ("a1", "a2")} == {"unknown"}
    words = "Kubernetes is out of sight, and nothing is known of its nodes"
    assert words in elias.cli("status").stdout
    assert words in elias.cli("nodes").stderr
    assert words in elias.get("/nodes")[1]
    api.token = right
    until(lambda: not elias.problem)
    assert api.cordoned("a2")
