"""Numbers as words for a policy: each quantity is the nearest rung of a fixed ladder, written with its unit.

So a number is one word (`83%`, `1.5GiB`, `90s`, `3/m`, `12`; `minus 3` where it is negative), its magnitude is
unambiguous, and all the words that can occur are known beforehand. Rungs lie at most 5 % apart: what a policy weighs is
never known better than that.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import isnan
from typing import NamedTuple

from tiki.schema import Type

NOT_KNOWN = "?"
"""Stands where no value is known. No declared name looks like it."""

NEGATIVE = "minus"

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


class Ladder(NamedTuple):
    """values: of the rungs, from 0 up, in the canonical unit of the type. words: one for each. edges: half-way between
    neighbours, one fewer."""

    values: tuple[float, ...]
    words: tuple[str, ...]
    edges: tuple[float, ...]

    def word(self, value: object) -> str:
        """The nearest rung; what lies beyond the last one is the last one. NOT_KNOWN for what is no number."""
        if isinstance(value, float):
            if isnan(value):
                return NOT_KNOWN
        elif not isinstance(value, int) or isinstance(value, bool):
            return NOT_KNOWN
        if value >= 0:
            return self.words[bisect_right(self.edges, value)]
        rung = bisect_right(self.edges, -value)
        return f"{NEGATIVE} {self.words[rung]}" if rung else self.words[0]


def _steps(low: float, high: float) -> Iterator[float]:
    """From low (a power of ten times one of the steps) to below high: 70 a decade, two or three digits each."""
    mantissas = (*(m / 20 for m in range(20, 40)), *(m / 10 for m in range(20, 40)), *(m / 5 for m in range(20, 50)))
    for power in range(-3, 4):
        for mantissa in mantissas:
            step = mantissa * 10.0**power
            if low * 0.999 < step < high * 0.999:
                yield step


def _units(zero: str, *units: tuple[str, float, float, float]) -> dict[str, float]:
    """The words of a type with their values. units: suffix, size in the canonical unit, and the numbers that it is
    used for, from the first to below the second."""
    return {zero: 0.0} | {
        f"{step:.3g}{suffix}": step * size for suffix, size, low, high in units for step in _steps(low, high)
    }


def _ladder(words: Mapping[str, float]) -> Ladder:
    rungs = sorted((value, word) for word, value in words.items())
    values = tuple(value for value, _ in rungs)
    edges = tuple((low + high) / 2 for low, high in pairwise(values))
    return Ladder(values, tuple(word for _, word in rungs), edges)


_WHOLE = {str(n): float(n) for n in (*range(200), *range(200, 1000, 5))}
_TENTHS = {f"{n / 10:g}": n / 10 for n in range(10, 100)}
_PERCENT = {str(n): float(n) for n in range(101)} | {f"{n / 10:g}": n / 10 for n in range(980, 1000)} | _TENTHS

_PLAIN = _ladder(
    _units("0", ("", 1.0, 0.001, 1), ("", 1.0, 1, 20), ("k", 1e3, 1, 1e3), ("M", 1e6, 1, 1e3), ("G", 1e9, 1, 1e3))
    | _TENTHS
    | _WHOLE
)

LADDERS: Mapping[Type, Ladder] = {
    Type.COUNT: _PLAIN,
    Type.NUMBER: _PLAIN,
    Type.PERCENT: _ladder(
        _units("0%", ("%", 1.0, 0.01, 20), ("%", 1.0, 100, 1000)) | {f"{n}%": value for n, value in _PERCENT.items()}
    ),
    Type.DURATION: _ladder(
        _units(
            "0s",
            ("ms", 0.001, 1, 1e3),
            ("s", 1.0, 1, 120),
            ("m", _MINUTE, 2, 120),
            ("h", _HOUR, 2, 48),
            ("d", _DAY, 2, 1e3),
        )
    ),
    Type.BYTES: _ladder(
        _units("0B", ("B", 1.0, 1, 1e3), *((f"{p}iB", 1024.0 ** (n + 1), 1, 1e3) for n, p in enumerate("KMGT")))
    ),
    Type.RATE: _ladder(
        _units("0/s", ("/h", 1 / _HOUR, 0.1, 60), ("/m", 1 / _MINUTE, 1, 60), ("/s", 1.0, 1, 1e3), ("k/s", 1e3, 1, 1e3))
    ),
}
"""How a number of each type is written."""
