"""What a process counts of its own work, for whoever collects it. Since the start of the process; only ever grows."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Any

from federation.records import Kind

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
SHARES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 1.0)
RECORDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


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
    """Of a manager. answered: by (point, tier, action, mode). effects: their steps that it recorded, by (point, action,
    mode, verdict, what held them back). outcomes: of effects, by (point, action, status). confidence: of the policy in
    its choice, by point.
    """

    def __init__(self) -> None:
        self.answered: Counter[tuple[str, str, str, str]] = Counter()
        self.effects: Counter[tuple[str, str, str, str, str]] = Counter()
        self.outcomes: Counter[tuple[str, str, str]] = Counter()
        self.confidence: dict[str, Histogram] = {}

    def recorded(self, kind: Kind, point: str, body: Any) -> None:
        """A record was made whose body is this."""
        if kind == Kind.ANSWERED:
            self.answered[point, body.tier, body.action, body.mode] += 1
        elif kind == Kind.EFFECT:
            held_by = body.reason.partition(":")[0] if body.verdict == "withheld" else ""
            self.effects[point, body.action, body.mode, body.verdict, held_by] += 1

    def sure(self, point: str, confidence: float) -> None:
        self.confidence.setdefault(point, Histogram(SHARES)).observe(confidence)

    def plain(self) -> dict[str, Any]:
        tiers = Counter[tuple[str, str]]()
        for (point, tier, *_), count in self.answered.items():
            tiers[point, tier] += count
        return {
            "answered": [[*key, count] for key, count in tiers.items()],
            "chosen": [[*key, count] for key, count in self.answered.items()],
            "effects": [[*key, count] for key, count in self.effects.items()],
            "outcomes": [[*key, count] for key, count in self.outcomes.items()],
            "confidence": {point: histogram.plain() for point, histogram in self.confidence.items()},
        }
