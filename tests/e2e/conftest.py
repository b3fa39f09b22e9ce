"""One ELIAS for all tests of this folder, started as a user starts it."""

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


@pytest.fixture(scope="package")
def elias(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("elias"), SETTINGS) as running:
        yield running


@pytest.fixture
def own_elias(tmp_path: Path) -> Iterator[Running]:
    """One that the test may break."""
    running = Running(tmp_path, SETTINGS)
    yield running
    running.stop()
