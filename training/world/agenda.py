"""The time of a simulated world, and what is to happen in it."""

import heapq
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any

Happening = Callable[..., None]


class Agenda:
    """now: seconds since the beginning. Copied with the world, so that a copy goes on by itself."""

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = count()
        self._heap: list[tuple[float, int, Happening, tuple[Any, ...]]] = []

    def after(self, seconds: float, happening: Happening, *args: Any) -> None:
        heapq.heappush(self._heap, (self.now + seconds, next(self._numbers), happening, args))

    def often(self, mean: float, random: Random, happening: Happening) -> None:
        """Again and again, as a Poisson process. mean: seconds between two times; infinite: never."""
        if mean < float("inf"):
            self.after(random.expovariate(1 / mean), self._again, mean, random, happening)

    def _again(self, mean: float, random: Random, happening: Happening) -> None:
        happening()
        self.often(mean, random, happening)

    def run(self, until: float) -> None:
        """Everything that is due by then, in order."""
        while self._heap and self._heap[0][0] <= until:
            self.now, _, happening, args = heapq.heappop(self._heap)
            happening(*args)
        self.now = until
