"""Waiting for what must come, without sleeping for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

FIRST, LONGEST = 0.02, 0.2  # seconds between two looks: what is looked at works on the same cores

T = TypeVar("T")


def until(look: Callable[[], T], patience: float = 300.0) -> T:
    """The first true value that `look` gives; fails after `patience` seconds with the last one."""
    deadline, pause = time.monotonic() + patience, FIRST
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:g} s, and still: {seen!r}")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST)
    return seen
