"""Which fault strikes when: a pure function of a seed, so that what a run found can be had again."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from tests.chaos.kinds import KINDS, Kind

PACE = 4.0  # seconds from one fault to the next, on average: 1,000 in 67 minutes


@dataclass(frozen=True, slots=True)
class Fault:
    """start: seconds from the beginning of the run; lasts: seconds. size: of a jump of the clock, seconds."""

    number: int
    kind: str
    target: str
    start: float
    lasts: float
    size: float = 0.0

    @property
    def words(self) -> str:
        return KINDS[self.kind].words.format(target=self.target, size=self.size)

    def __str__(self) -> str:
        lasts = f" for {self.lasts:.1f} s" if self.lasts else ""
        return f"{self.number:4} at {self.start:7.1f} s: {self.words}{lasts}"


def draw(seed: int, count: int, pace: float = PACE, kinds: Mapping[str, Kind] = KINDS) -> list[Fault]:
    """`count` faults, at least one of each kind where there are as many; the shares of `kinds` say how many. Several
    are in force at a time, but never two on the same target, which also rests a while after each."""
    chance = random.Random(seed)
    left = [name for name, many in _counts(count, kinds).items() for _ in range(many)]
    chance.shuffle(left)
    now, free = 0.0, dict[str, float]()
    drawn = list[Fault]()
    while left:
        now += chance.uniform(0.25, 1.75) * pace
        while not (able := [name for name in left if _rested(kinds[name], free, now)]):
            now += 1.0
        name = able[0]
        left.remove(name)
        kind = kinds[name]
        target = chance.choice(_rested(kind, free, now))
        lasts, size = round(chance.uniform(*kind.lasts), 2), round(chance.uniform(-kind.size, kind.size), 1)
        drawn.append(Fault(len(drawn) + 1, name, target, round(now, 2), lasts, size))
        free[kind.keeps(target)] = now + lasts + kind.rest
        now += kind.alone
    return drawn


def _rested(kind: Kind, free: Mapping[str, float], now: float) -> list[str]:
    """Its targets that may be struck. free: from when each may."""
    return [target for target in kind.targets if free.get(kind.keeps(target), 0.0) <= now]


def _counts(count: int, kinds: Mapping[str, Kind]) -> dict[str, int]:
    """How many of each kind: by their shares, what is left over to the largest remainders."""
    least = 1 if count >= len(kinds) else 0
    whole = sum(kind.share for kind in kinds.values())
    exact = {name: least + (count - least * len(kinds)) * kind.share / whole for name, kind in kinds.items()}
    counts = {name: int(many) for name, many in exact.items()}
    rests = sorted(kinds, key=lambda name: (counts[name] - exact[name], name))
    for name in rests[: count - sum(counts.values())]:
        counts[name] += 1
    return counts
