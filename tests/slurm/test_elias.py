"""ELIAS as a user runs it, beside a Slurm: what is shown, drained, brought back, and said when Slurm is away."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.beside import Beside
from tests.e2e.waiting import until
from tests.slurm.cluster import Cluster

SETTINGS = """
slurm:
  enabled: true
  every: 1s
  conf: {conf}
  update: [scontrol]
"""


@pytest.fixture
def elias(tmp_path: Path, slurm: Cluster) -> Iterator[Beside]:
    with Beside(tmp_path, SETTINGS.format(conf=slurm.conf)) as running:
        yield running


def test_a_day_with_slurm(elias: Beside, slurm: Cluster) -> None:
    until(lambda: {"slurm:a1", "slurm:a2"} <= elias.nodes.keys())
    rows = elias.rows("slurm")
    assert rows["slurm:a1"] == ["up", "IDLE", "0 of 1", "0.5 GiB", "0 of 2 h100", "0", "main big", ""]
    assert rows["0 jobs run, 0 wait"] == []
    assert "slurm:a2\tup" in elias.cli("nodes").stdout
    assert "hello" in elias.cli("run", "--", "echo", "hello").stdout

    for action in ("drain", "readmit"):
        elias.cli("mode", f"ufm.node_health/{action}", "act")
    slurm.kill("a1")
    until(lambda: "DRAIN" in slurm.states()["a1"])
    said = slurm.run("scontrol", "--oneliner", "show", "node", "a1")
    decision = re.search(r"Reason=elias ([0-9a-f]{32}) \[", said)
    assert decision is not None, said
    assert until(lambda: elias.outcome(decision[1])) == "done"
    until(lambda: elias.nodes["slurm:a1"]["status"] == "drained")

    slurm.start("a1")
    until(lambda: slurm.states()["a1"] == "IDLE")
    until(lambda: elias.nodes["slurm:a1"]["status"] == "up")

    slurm.run("scontrol", "update", "nodename=a2", "state=drain", "reason=<b>disk</b> broken")
    until(lambda: elias.nodes["slurm:a2"]["status"] == "held")
    assert "<b>disk</b> broken" in elias.cli("slurm").stdout
    for page in ("/nodes", "/nodes/slurm:a2"):
        assert "&lt;b&gt;disk&lt;/b&gt; broken" in elias.get(page)[1]

    slurm.stop_controller()
    until(lambda: elias.problem)
    assert {elias.nodes[name]["status"] for name in ("slurm:a1", "slurm:a2")} == {"unknown"}
    assert "Slurm is out of sight" in elias.cli("status").stdout
    assert "Slurm is out of sight" in elias.cli("nodes").stderr
    assert "Slurm is out of sight" in elias.get("/nodes")[1]
    slurm.start_controller()
    until(lambda: not elias.problem)
    until(lambda: elias.nodes["slurm:a1"]["status"] == "up")
    assert slurm.states() == {"a1": "IDLE", "a2": "IDLE+DRAIN"}
