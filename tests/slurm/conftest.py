"""One Slurm for all tests of this folder: two idle nodes before each of them."""

from collections.abc import Iterator

import pytest

from tests.slurm.cluster import Cluster


@pytest.fixture(scope="package")
def _cluster() -> Iterator[Cluster]:
    with Cluster.running() as cluster:
        yield cluster


@pytest.fixture
def slurm(_cluster: Cluster) -> Cluster:
    _cluster.restore()
    return _cluster
