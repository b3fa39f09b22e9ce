from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .kit import Cluster


@pytest.fixture
def make_cluster(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """Makes a cluster; keyword arguments replace shipped specs of URM by name."""
    made: list[Cluster] = []

    def make(**specs: str) -> Cluster:
        made.append(Cluster(tmp_path, {f"urm/{name}.tiki": text for name, text in specs.items()}))
        return made[-1]

    yield make
    for cluster in made:
        cluster.store.close()


@pytest.fixture
def cluster(make_cluster: Callable[..., Cluster]) -> Cluster:
    return make_cluster()
