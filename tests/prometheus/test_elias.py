"""ELIAS as a user runs it, beside a Prometheus: what a GPU shows takes its node out, by the spec of the page."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.beside import Beside
from tests.e2e.waiting import until
from tests.prometheus.lab import Lab

PAGE = Path(__file__).resolve().parents[2] / "docs" / "prometheus.md"
NODE = socket.gethostname()
SETTINGS = """
prometheus:
  url: http://127.0.0.1:{port}
  every: 1s
  names:
    127.0.0.1: {node}
  signs:
    fallen_off: DCGM_FI_DEV_XID_ERRORS == 79
"""


@pytest.fixture
def elias(tmp_path: Path, lab: Lab) -> Iterator[Beside]:
    elias = Beside(tmp_path, SETTINGS.format(port=lab.port, node=NODE))
    (fence,) = re.findall(r"```tiki\n(.*?)```", PAGE.read_text(), re.DOTALL)
    alone = fence.replace("- never_the_last: never drain when fleet.up < 2\n", "")  # here is but one node
    before, _, _ = elias.balancing.read_text().partition("## UFM Node Health Spec")
    elias.balancing.write_text(before + alone)
    elias.balancing.with_name("load_balancing_test.tiki").unlink()
    with elias:
        yield elias


def answered(elias: Beside, action: str) -> Any:
    found = elias.get(f"/v1/decisions?point=ufm.node_health&subject={NODE}")[1]["decisions"]
    return next((one for one in found if one.get("action") == action), None)


def test_a_day_with_prometheus(elias: Beside, lab: Lab) -> None:
    until(lambda: not elias.problem)
    assert answered(elias, "drain") is None
    lab.node.cards[1].values["DCGM_FI_DEV_XID_ERRORS"] = 79
    drained = until(lambda: answered(elias, "drain"))
    assert "fallen_off in signs" in elias.cli("explain", drained["id"]).stdout
    facts = elias.get(f"/v1/decisions/{drained['id']}")[1]["facts"]
    assert (facts["signs"], facts["gpu_remap_failed"], facts["gpu_ecc_errors"]) == (["fallen_off"], False, None)

    lab.stop()
    try:
        words = "Prometheus is out of sight, and facts from it are not known"
        until(lambda: words in elias.problem)
        assert words in elias.cli("status").stdout
        assert words in elias.get("/nodes")[1]
    finally:
        lab.start()
    until(lambda: not elias.problem)
