"""What all tests stand on."""

import gc
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control starts what it runs in the background so, and its children with it: some tests press
    # Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first under `pytest -n`, so that at the end no process works alone."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.path.parent.name not in ("chaos", "e2e", "nodes", "training"))
