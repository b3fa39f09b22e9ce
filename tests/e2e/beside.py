"""ELIAS as a user runs it, in a hurry, beside what people already run."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.running import Running
from federation.settings import shipped_specs

SETTINGS = """
specs: specs
telemetry:
  interval: 1s
ledger:
  tick: 1s
"""


def hasty(specs: Path) -> Path:
    """The shipped specs, there, but a node that misses its health checks is taken out after 6 s, not after 90. With
    reports each second it is out of sight by then, so that another one keeps the cordon. The file that says so."""
    shutil.copytree(shipped_specs(), specs)
    balancing = specs / "ufm" / "load_balancing.tiki"
    text = balancing.read_text()
    assert "- health_check_interval: 30s" in text
    balancing.write_text(text.replace("- health_check_interval: 30s", "- health_check_interval: 2s"))
    return balancing


class Beside(Running):
    """settings: of what it runs beside."""

    def __init__(self, folder: Path, settings: str) -> None:
        self.balancing = hasty(folder / "specs")
        super().__init__(folder, SETTINGS + settings)

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [*self.command, *words]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True, timeout=120)

    def rows(self, *words: str) -> dict[str, list[str]]:
        """What a command prints as a table, by the first cell."""
        lines = [line.split("\t") for line in self.cli(*words).stdout.splitlines()]
        return {first: rest for first, *rest in lines}

    @property
    def nodes(self) -> dict[str, Any]:
        return {node["name"]: node for node in self.get("/v1/nodes")[1]["nodes"]}

    @property
    def problem(self) -> str:
        """What is out of sight; empty where nothing is."""
        return str(self.get("/v1/nodes")[1]["problem"])

    def outcome(self, decision: str) -> str | None:
        found: str | None = self.get(f"/v1/decisions/{decision}")[1].get("outcome")
        return found
