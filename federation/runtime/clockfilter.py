"""How far the clock of another machine is from ours, as well as round trips can tell.

The other one reads its clock somewhere between our question and its answer. Taken to be half-way it is wrong by half of
the round trip at most, so of some samples the quickest counts: whatever waited on its way tells less. Source: RFC 5905,
sections 8 (on-wire protocol) and 10 (clock filter).
"""

from collections import deque
from typing import NamedTuple

SAMPLES = 8  # of which the quickest counts: as many as RFC 5905 keeps; one comes with each heartbeat


class Offset(NamedTuple):
    """In seconds. ahead: of the other clock before ours. within: by how much that may be wrong."""

    ahead: float
    within: float


class ClockFilter:
    """What the last few round trips have told."""

    def __init__(self) -> None:
        self._samples = deque[Offset](maxlen=SAMPLES)

    def add(self, sent: float, told: float, received: float) -> None:
        """sent, received: by our clock; told: by the other one; s since 1970. Tells nothing where ours was set back
        meanwhile."""
        if received >= sent:
            self._samples.append(Offset(told - (sent + received) / 2, (received - sent) / 2))

    @property
    def offset(self) -> Offset | None:
        return min(self._samples, key=lambda sample: sample.within, default=None)
