"""ELIAS as a user runs it, beside a Slurm: what is shown, drained, brought back, and said when Slurm is away."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.running import Running
from federation.settings import shipped_specs
from tests.e2e.waiting import until
from tests.slurm.cluster import Cluster

SETTINGS = """
specs: specs
telemetry:
  interval: 1s
ledger:
  tick: 1s
slurm:
  enabled: true
  every: 1s
  conf: {conf}
  update: [scontrol]
"""


@pytest.fixture
def elias(tmp_path: Path, slurm: Cluster) -> Iterator[Running]:
    shutil.copytree(shipped_specs(), tmp_path / "specs")
    spec = tmp_path / "specs" / "ufm" / "load_balancing.tiki"
    spec.write_text(spec.read_text().replace("health_check_interval: 30s", "health_check_interval: 1s"))
    with Running(tmp_path, SETTINGS.format(conf=slurm.conf)) as running:
        yield running


def cli(elias: Running, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*elias.command, *arguments]
    return subprocess.run(command, cwd=elias.folder, check=True, capture_output=True, text=True, timeout=120)


def nodes(elias: Running) -> dict[str, Any]:
    return {node["name"]: node for node in elias.get("/v1/nodes")[1]["nodes"]}


def test_a_day_with_slurm(elias: Running, slurm: Cluster) -> None:
    until(lambda: {"slurm:a1", "slurm:a2"} <= nodes(elias).keys())
    rows = {row[0]: row[1:] for row in (line.split("\t") for line in cli(elias, "slurm").stdout.splitlines())}
    assert rows["slurm:a1"] == ["up", "IDLE", "0 of 1", "0.5 GiB", "0 of 2 h100", "0", "main big", ""]
    assert rows["0 jobs run, 0 wait"] == []
    assert "slurm:a2\tup" in cli(elias, "nodes").stdout
    assert "hello" in cli(elias, "run", "--", "echo", "hello").stdout

    for action in ("drain", "readmit"):
        cli(elias, "mode", f"ufm.node_health/{action}", "act")
    slurm.kill("a1")
    until(lambda: "DRAIN" in slurm.states()["a1"])
    said = slurm.run("scontrol", "--oneliner", "show", "node", "a1")
    decision = re.search(r"Reason=elias ([0-9a-f]{32}) \[", said)
    assert decision is not None, said
    assert until(lambda: elias.get(f"/v1/decisions/{decision[1]}")[1].get("outcome")) == "done"
    until(lambda: nodes(elias)["slurm:a1"]["status"] == "drained")

    slurm.start("a1")
    until(lambda: slurm.states()["a1"] == "IDLE")
    until(lambda: nodes(elias)["slurm:a1"]["status"] == "up")

    slurm.run("scontrol", "update", "nodename=a2", "state=drain", "reason=<b>disk</b> broken")
    until(lambda: nodes(elias)["slurm:a2"]["status"] == "held")
    assert "<b>disk</b> broken" in cli(elias, "slurm").stdout
    for page in ("/nodes", "/nodes/slurm:a2"):
        assert "&lt;b&gt;disk&lt;/b&gt; broken" in elias.get(page)[1]

    slurm.stop_controller()
    until(lambda: elias.get("/v1/nodes")[1]["problem"])
    assert {nodes(elias)[name]["status"] for name in ("slurm:a1", "slurm:a2")} == {"unknown"}
    assert "Slurm is out of sight" in cli(elias, "status").stdout
    assert "Slurm is out of sight" in cli(elias, "nodes").stderr
    assert "Slurm is out of sight" in elias.get("/nodes")[1]
    slurm.start_controller()
    until(lambda: not elias.get("/v1/nodes")[1]["problem"])
    until(lambda: nodes(elias)["slurm:a1"]["status"] == "up")
    assert slurm.states() == {"a1": "IDLE", "a2": "IDLE+DRAIN"}
