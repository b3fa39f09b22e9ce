"""One Prometheus for all tests of this folder; its exporters are as at the start before each of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.prometheus.lab import Card, Lab


@pytest.fixture(scope="package")
def _lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with Lab(folder).running() as lab:
        yield lab


@pytest.fixture
def lab(_lab: Lab) -> Lab:
    for exporter in (_lab.node, _lab.other):
        exporter.broken = False
        for card in exporter.cards:
            card.values = Card(0, "").values
    return _lab
