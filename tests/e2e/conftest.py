"""ELIAS as a user starts it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.running import Running

SETTINGS = """
telemetry:
  interval: 1s
ledger:
  tick: 2s
"""


@pytest.fixture
def own_elias(tmp_path: Path) -> Iterator[Running]:
    """One that the test may break."""
    running = Running(tmp_path, SETTINGS)
    yield running
    running.stop()
