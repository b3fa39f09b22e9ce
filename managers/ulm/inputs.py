"""Whether the questions that a policy is asked are still those that it was asked at first.

The population stability index of each fact, between the first questions and the newest ones: the sum of (q - p) ln(q/p)
over bins that hold a tenth of the first ones each. Below 0.1 nothing has moved, from 0.25 on much has (Siddiqi, Credit
Risk Scorecards, 2006). Without a shift it is about (bins - 1) (1/n + 1/m), 0.04 here (Yurdakul and Naranjo, Journal of
Risk Model Validation, 2020).
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

WINDOW = 500
"""Questions in the first and in each later window."""

FINE = 8
"""Bins to a doubling, 9 % wide: deciles are read off these, and no value has to be kept."""

NAMES = 50
"""Different names that are told apart; the rest count as one."""

SHARE = 0.1
"""Of the first questions: what a bin holds at least."""

_SMALLEST = -40  # in powers of two: what is nearer to zero is zero


class Histogram(msgspec.Struct):
    """Of the values of one fact. numbers: by bin, in the order of the values. names: by name; also flags, and what was
    absent or unknown."""

    numbers: dict[int, int] = {}
    names: dict[str, int] = {}

    def add(self, value: Any) -> None:
        if isinstance(value, int | float) and not isinstance(value, bool):
            at = bin_of(value)
            self.numbers[at] = self.numbers.get(at, 0) + 1
        else:
            name = str(value)[:64]
            name = name if name in self.names or len(self.names) < NAMES else ""
            self.names[name] = self.names.get(name, 0) + 1


def bin_of(value: float) -> int:
    """Bins of equal ratio, on both sides of zero."""
    if abs(value) <= 2.0**_SMALLEST:
        return 0
    height = 1 + math.floor(FINE * (math.log2(abs(value)) - _SMALLEST))
    return height if value > 0 else -height


def psi(first: Histogram, now: Histogram) -> float:
    """Half an observation is added to each bin, so that an empty one does not make it infinite."""
    pairs = list(_bins(first, now))
    before = sum(one for one, _ in pairs) + len(pairs) / 2
    after = sum(other for _, other in pairs) + len(pairs) / 2
    total = 0.0
    for one, other in pairs:
        p, q = (one + 0.5) / before, (other + 0.5) / after
        total += (q - p) * math.log(q / p)
    return total


def _bins(first: Histogram, now: Histogram) -> Iterator[tuple[int, int]]:
    """Counts in the first window and now, by bin. Numbers next to one another share a bin until it is large enough;
    rare names share one."""
    enough = SHARE * (sum(first.numbers.values()) + sum(first.names.values()))
    rest = [0, 0]
    for name in sorted(first.names.keys() | now.names.keys()):
        pair = first.names.get(name, 0), now.names.get(name, 0)
        if pair[0] >= enough:
            yield pair
        else:
            rest = [rest[0] + pair[0], rest[1] + pair[1]]
    held = [0, 0]
    for at in sorted(first.numbers.keys() | now.numbers.keys()):
        held = [held[0] + first.numbers.get(at, 0), held[1] + now.numbers.get(at, 0)]
        if held[0] >= enough:
            yield held[0], held[1]
            held = [0, 0]
    for few in (rest, held):
        if any(few):
            yield few[0], few[1]


class Inputs(msgspec.Struct):
    """Of one policy at one point. first: histograms of the first window, by fact; empty while it fills. shift: the
    largest index of any fact, in the newest full window against the first one; None: there is none yet. moved: the
    fact that has it."""

    first: dict[str, Histogram] = {}
    filling: dict[str, Histogram] = {}
    count: int = 0
    shift: float | None = None
    moved: str = ""

    def add(self, facts: Mapping[str, Any]) -> None:
        for name, value in facts.items():
            if not isinstance(value, list):
                self.filling.setdefault(name, Histogram()).add(value)
        self.count += 1
        if self.count < WINDOW:
            return
        if self.first:
            both = self.first.keys() & self.filling.keys()
            found = [(psi(self.first[name], self.filling[name]), name) for name in sorted(both)]
            self.shift, self.moved = max(found, default=(0.0, ""))
        else:
            self.first = self.filling
        self.filling, self.count = {}, 0
