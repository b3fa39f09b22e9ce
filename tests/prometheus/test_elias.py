"""ELIAS as a user runs it, beside a Prometheus: what a GPU shows takes its node out, by the spec of the page."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.running import Running
from federation.settings import shipped_specs
from tests.e2e.waiting import until
from tests.prometheus.lab import Lab

PAGE = Path(__file__).resolve().parents[2] / "docs" / "prometheus.md"
NODE = socket.gethostname()
SETTINGS = """
specs: specs
telemetry:
  interval: 1s
ledger:
  tick: 1s
prometheus:
  url: http://127.0.0.1:{port}
  every: 1s
  names:
    127.0.0.1: {node}
  signs:
    fallen_off: DCGM_FI_DEV_XID_ERRORS == 79
"""


@pytest.fixture
def elias(tmp_path: Path, lab: Lab) -> Iterator[Running]:
    shutil.copytree(shipped_specs(), tmp_path / "specs")
    spec = tmp_path / "specs" / "ufm" / "load_balancing.tiki"
    (fence,) = re.findall(r"```tiki\n(.*?)```", PAGE.read_text(), re.DOTALL)
    alone = fence.replace("- never_the_last: never drain when fleet.up < 2\n", "")  # here is but one node
    before = spec.read_text().replace("health_check_interval: 30s", "health_check_interval: 1s")
    spec.write_text(before.partition("## UFM Node Health Spec")[0] + alone)
    (tmp_path / "specs" / "ufm" / "load_balancing_test.tiki").unlink()
    with Running(tmp_path, SETTINGS.format(port=lab.port, node=NODE)) as running:
        yield running


def cli(elias: Running, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*elias.command, *arguments]
    return subprocess.run(command, cwd=elias.folder, check=True, capture_output=True, text=True, timeout=120)


def answered(elias: Running, action: str) -> Any:
    found = elias.get(f"/v1/decisions?point=ufm.node_health&subject={NODE}")[1]["decisions"]
    return next((one for one in found if one.get("action") == action), None)


def test_a_day_with_prometheus(elias: Running, lab: Lab) -> None:
    until(lambda: not elias.get("/v1/nodes")[1]["problem"])
    assert answered(elias, "drain") is None
    lab.node.cards[1].values["DCGM_FI_DEV_XID_ERRORS"] = 79
    drained = until(lambda: answered(elias, "drain"))
    assert "fallen_off in signs" in cli(elias, "explain", drained["id"]).stdout
    facts = elias.get(f"/v1/decisions/{drained['id']}")[1]["facts"]
    assert (facts["signs"], facts["gpu_remap_failed"], facts["gpu_ecc_errors"]) == (["fallen_off"], False, None)

    lab.stop()
    try:
        words = "Prometheus is out of sight, and facts from it are not known"
        until(lambda: words in elias.get("/v1/nodes")[1]["problem"])
        assert words in cli(elias, "status").stdout
        assert words in elias.get("/nodes")[1]
    finally:
        lab.start()
    until(lambda: not elias.get("/v1/nodes")[1]["problem"])
