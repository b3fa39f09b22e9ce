"""Things in order, kept so while single ones of them change."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


class Ranking(Generic[_T]):
    """By key, then by name. A change costs O(log n) comparisons, and one that changes no key none."""

    def __init__(self) -> None:
        self._keys: list[tuple[Any, ...]] = []
        self._ranked: list[_T] = []
        self._of: dict[str, tuple[tuple[Any, ...], _T]] = {}

    def put(self, name: str, ranked: _T, *key: Any) -> None:
        """Add it, or have a known one follow its key."""
        full = (*key, name)
        known = self._of.get(name)
        if known is not None and known[0] == full and known[1] is ranked:
            return
        self.drop(name)
        at = bisect_left(self._keys, full)
        self._keys.insert(at, full)
        self._ranked.insert(at, ranked)
        self._of[name] = full, ranked

    def drop(self, name: str) -> None:
        """Nothing where it is not there."""
        known = self._of.pop(name, None)
        if known is not None:
            at = bisect_left(self._keys, known[0])
            del self._keys[at], self._ranked[at]

    def __contains__(self, name: str) -> bool:
        return name in self._of

    def __len__(self) -> int:
        return len(self._ranked)

    def __iter__(self) -> Iterator[_T]:
        return iter(self._ranked)
