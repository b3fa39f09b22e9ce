"""What all tests stand on."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control starts what it runs in the background so, and its children with it: some tests press
    # Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# An example may take as long as it takes: the machine may be slow, and busy with other tests.
settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests stay in one process of `pytest -n`: those of a file, for they share its fixtures; and the end-to-end
    tests, for they share an ELIAS, and their clusters would crowd out one another. What takes longest comes first, so
    that at the end no process works alone.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    for item in items:
        path = item.path.relative_to(Path(__file__).parent)
        item.add_marker(pytest.mark.xdist_group("e2e" if path.parts[0] == "e2e" else str(path)))
    items.sort(key=lambda item: item.path.parent.name not in ("e2e", "training"))
