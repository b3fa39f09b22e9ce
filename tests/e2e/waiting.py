"""Waiting for what must come, without sleeping for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T], patience: float = 300.0) -> T:
    """The first true value that `look` gives; fails after `patience` seconds with the last one."""
    deadline = time.monotonic() + patience
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:g} s, and still: {seen!r}")
        time.sleep(0.05)
    return seen
