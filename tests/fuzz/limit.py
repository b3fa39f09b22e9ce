"""A limit on the CPU time of a piece of work: a hang is told as one, and a busy machine is none."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SECONDS = 5.0
"""For one input, of at most `process.LONGEST` bytes. A slow one takes a tenth of a second."""


class TooLong(BaseException):
    """The work was stopped where it stood. No `Exception`, so that no work takes it for an error of its own."""


@contextmanager
def cpu_limit(seconds: float = SECONDS) -> Iterator[None]:
    """Raises TooLong inside its block. Main thread only; one at a time."""

    def ring(signum: int, frame: FrameType | None) -> None:
        raise TooLong(f"it was not done after {seconds:g} s of CPU time")

    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
