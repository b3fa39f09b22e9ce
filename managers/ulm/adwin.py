"""ADWIN (Bifet and Gavaldà, "Learning from time-changing data with adaptive windowing", SIAM SDM 2007): a window of a
stream that grows while its mean stays the same, and loses its oldest part when two parts of it differ too much.

Buckets of 1, 2, 4 ... values keep the window in logarithmic memory. Written here because the package that has it,
river, imports pandas and scikit-learn beside it: 100 MB and a second at every start of ULM, for one class. The tests
hold it to the same alarms as river's.
"""

import math
from typing import NamedTuple

MOST = 5  # buckets of one size; one more, and the two oldest become one of twice the size
SHORTEST = 5  # values in each of the two parts that are compared


class Bucket(NamedTuple):
    """Of `size` neighbouring values: their sum, and the sum of their squared distances from their mean."""

    size: int
    total: float
    spread: float

    def __add__(self, other: "Bucket") -> "Bucket":  # type: ignore[override]  # of neighbours, not of tuples
        apart = self.total / self.size - other.total / other.size
        size = self.size + other.size
        between = self.size * other.size * apart * apart / size
        return Bucket(size, self.total + other.total, self.spread + other.spread + between)

    def __sub__(self, part: "Bucket") -> "Bucket":
        """What is left without a part of it; the part is smaller than the whole."""
        size, total = self.size - part.size, self.total - part.total
        apart = part.total / part.size - total / size
        between = part.size * size * apart * apart / self.size
        return Bucket(size, total, max(0.0, self.spread - part.spread - between))


class Adwin:
    """delta: bound on the probability of a false alarm at one look. every: values between two looks. grace: values
    before the first look."""

    def __init__(self, delta: float, every: int, grace: int) -> None:
        self.delta, self.every, self.grace = delta, every, grace
        self._rows: list[list[Bucket]] = [[]]  # of buckets of 1, 2, 4 ... values, each with the oldest first
        self._whole: Bucket | None = None
        self._seen = 0

    @property
    def width(self) -> int:
        """Values in the window."""
        return 0 if self._whole is None else self._whole.size

    def update(self, value: float) -> bool:
        """Whether the mean has changed: then the window has lost what was before the change."""
        self._insert(Bucket(1, value, 0.0))
        self._seen += 1
        if self._seen % self.every or self.width <= self.grace:
            return False
        changed = False
        while self._differs():
            self._forget()
            changed = True
        return changed

    def _insert(self, bucket: Bucket) -> None:
        self._whole = bucket if self._whole is None else self._whole + bucket
        self._rows[0].append(bucket)
        for number, row in enumerate(self._rows):
            if len(row) <= MOST:
                break
            if number + 1 == len(self._rows):
                self._rows.append([])
            self._rows[number + 1].append(row.pop(0) + row.pop(0))

    def _forget(self) -> None:
        """Without the oldest bucket."""
        assert self._whole is not None, "there is a window to forget of"
        oldest = self._rows[-1].pop(0)
        self._whole -= oldest
        while len(self._rows) > 1 and not self._rows[-1]:
            self._rows.pop()

    def _differs(self) -> bool:
        """Whether at any border between buckets the means of the older and of the newer values differ."""
        whole = self._whole
        if whole is None or whole.size < 2 * SHORTEST:
            return False
        surprise = math.log(2.0 * math.log(whole.size) / self.delta)
        variance = whole.spread / whole.size
        size, total = 0, 0.0
        for row in reversed(self._rows):
            for bucket in row:
                size, total = size + bucket.size, total + bucket.total
                newer = whole.size - size
                if newer < SHORTEST:
                    return False
                if size < SHORTEST:
                    continue
                apart = abs(total / size - (whole.total - total) / newer)
                parts = 1.0 / (size - SHORTEST + 1) + 1.0 / (newer - SHORTEST + 1)
                if apart > math.sqrt(2.0 * parts * variance * surprise) + 2.0 / 3.0 * surprise * parts:
                    return True
        return False
