"""What all tests stand on."""

import gc
import os
import signal
import ssl
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from threadpoolctl import threadpool_limits
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control starts what it runs in the background so, and its children with it: some tests press
    # Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = "tests/e2e/shared/"
LONG = ("shared", "nodes", "chaos", "e2e", "training")  # folders

# An example may take as long as it takes: the machine may be slow, and busy with other tests.
settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def usual_collector() -> Iterator[None]:
    """An actor or a language server sets the garbage collector of its process for itself; this one has other tests."""
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    yield
    gc.set_threshold(*before)
    if gc.get_freeze_count() > frozen:
        gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def authorities_read_once() -> Iterator[None]:
    """httpx reads the certificates of all authorities for each client, and for each request that has none: 20 ms of the
    processor, and tests ask thousands of times."""
    made = httpx.create_ssl_context
    usual = cache(lambda trust_env: made(trust_env=trust_env))

    def context(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
        return usual(trust_env) if verify is True and cert is None else made(verify, cert, trust_env)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", context)
        yield


class _Scheduling(LoadFileScheduling):
    """Under `pytest -n` one process runs all tests of a file, and all files of a folder that share one ELIAS."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return SHARED if file.startswith(SHARED) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return _Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first under `pytest -n`, so that at the end no process works alone."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: LONG.index(folder) if (folder := item.path.parent.name) in LONG else len(LONG))


def pytest_collection_finish() -> None:
    """Under `pytest -n` the processes share the cores: threads of BLAS and OpenMP that wait for one another take them
    from the other tests. Of what is imported by now; what a test starts is as a user has it."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        threadpool_limits(1)
