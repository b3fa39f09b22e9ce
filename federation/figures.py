"""What a process counts of its own work, for whoever collects it. Since the start of the process; only ever grows."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Any

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
SHARES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 1.0)


class Histogram:
    """bounds: the upper ends of its buckets, ascending; what is above the last one is counted too."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def plain(self) -> dict[str, Any]:
        return {"bounds": self.bounds, "counts": self.counts, "total": self.total}


class Figures:
    """Of a manager. answered: by (point, tier). confidence: of the policy in its choice, by point."""

    def __init__(self) -> None:
        self.answered: Counter[tuple[str, str]] = Counter()
        self.confidence: dict[str, Histogram] = {}

    def sure(self, point: str, confidence: float) -> None:
        self.confidence.setdefault(point, Histogram(SHARES)).observe(confidence)

    def plain(self) -> dict[str, Any]:
        return {
            "answered": [[point, tier, count] for (point, tier), count in self.answered.items()],
            "confidence": {point: histogram.plain() for point, histogram in self.confidence.items()},
        }
