"""One ELIAS for all tests of this folder, started as a user starts it; one process of `make test` runs them all."""

from collections.abc import Iterator

import pytest

from benchmarks.running import Running
from tests.e2e.conftest import SETTINGS


@pytest.fixture(scope="package")
def elias(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("elias"), SETTINGS) as running:
        yield running
