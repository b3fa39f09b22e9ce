"""One vLLM server for all tests of the policy: it takes long to start."""

from collections.abc import Iterator

import pytest
import serving

from federation.policy.tier import SHIPPED


@pytest.fixture(scope="session")
def _kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    server = serving.Server(SHIPPED, tmp_path_factory.mktemp("vllm"))
    try:
        yield server
    finally:
        server.end()


@pytest.fixture
def vllm_server(_kept: serving.Server) -> serving.Server:
    """A real one of the policy that ships, on the processor. A test that uses it fails where vLLM cannot run."""
    _kept.start()
    return _kept
