"""One vLLM server for all tests of the policy: it takes long to start."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import serving


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a policy with random weights."""
    return serving.make_policy(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def _kept(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    server = serving.Server(tiny, tmp_path_factory.mktemp("vllm"))
    try:
        yield server
    finally:
        server.end()


@pytest.fixture
def vllm_server(_kept: serving.Server) -> serving.Server:
    """A real one of `tiny`, on the processor. A test that uses it fails where vLLM cannot run."""
    _kept.start()
    return _kept
