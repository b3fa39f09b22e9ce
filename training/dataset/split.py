"""Which examples are kept, and in which split each stands: by time and by family, so that nothing is learned from what
is measured on later."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from federation.policy.question import Question
from training.scenarios.scenario import rounded

SHARES: Mapping[str, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}
"""Of the examples of a point, from the oldest to the newest."""

COPIES = 16
"""Of a family that are kept: outcomes are noisy, so one would tell little, and what happens every minute must not drown
the rest."""


class Row(NamedTuple):
    """What is held of an example while the splits are made. action: that was chosen. rank: by chance, the same on
    every machine. above: somebody above the policy decided."""

    point: str
    family: bytes
    action: str
    rank: int
    above: bool = False


def family_of(question: Question) -> str:
    """32 hex digits, the same for questions that differ in no number's first three digits."""
    return hashlib.sha256(repr(rounded(question)).encode()).hexdigest()[:32]


class Copies:
    """Lets the first ones of each family through, whatever was chosen: which candidates are taken, and how often, stays
    as it was."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._counts: Counter[bytes] = Counter()

    def takes(self, family: bytes) -> bool:
        """Whether one more is kept; counts it."""
        if self._most is None:
            return True
        self._counts[family] += 1
        return self._counts[family] <= self._most


def splits(rows: Sequence[Row]) -> list[str]:
    """By row, given in the order of time.

    Each point by itself, for one that asks seldom needs a test too; and of a point what the policy decided and what
    went above it: where it may decide nothing any more, the newest tell nothing of how it decides. Families stand in
    the order in which they first occurred, each with all of its examples: the first ones, to 80 % of the examples, are
    the training split, and so on. So a family that straddles a border goes to the earlier side. To the later one it
    would take old examples with it, and what is measured there would be older than what was learned.
    """
    sizes: dict[tuple[str, bool], Counter[bytes]] = {}
    for row in rows:
        sizes.setdefault((row.point, row.above), Counter())[row.family] += 1
    names, found = list(SHARES), dict[tuple[str, bytes], str]()
    for (point, _), counts in sizes.items():
        for family, split in _ordered(counts):
            found[point, family] = min(split, found.get((point, family), split), key=names.index)
    return [found[row.point, row.family] for row in rows]


def _ordered(counts: Counter[bytes]) -> Iterator[tuple[bytes, str]]:
    """counts: in the order of first occurrence."""
    total, before = counts.total(), 0
    borders: list[tuple[float, str]] = []
    for name, share in SHARES.items():
        borders.append(((borders[-1][0] if borders else 0.0) + share, name))
    for family, count in counts.items():
        yield family, next((name for border, name in borders if before < border * total - 1e-9), borders[-1][1])
        before += count


def capped(rows: Sequence[Row], split: Sequence[str], cap: int | None) -> set[int]:
    """Training examples that are left out, by number, so that no action of a point has more than `cap`; who stays is
    drawn by chance. Validation and test stay as they were: what is measured there is the world's own mix."""
    groups: dict[tuple[str, str], list[int]] = {}
    if cap is not None:
        for number, (row, name) in enumerate(zip(rows, split, strict=True)):
            if name == "train":
                groups.setdefault((row.point, row.action), []).append(number)
    return {
        number for numbers in groups.values() for number in sorted(numbers, key=lambda at: (rows[at].rank, at))[cap:]
    }


def weights(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """By point and action: with these, every action that was chosen counts as much as any other, and the examples of a
    point as much as without."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(row.point, Counter())[row.action] += 1
    return {
        point: {action: of.total() / (len(of) * count) for action, count in sorted(of.items())}
        for point, of in sorted(counts.items())
    }
