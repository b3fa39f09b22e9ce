"""Which traffic a challenger gets, and what of it counts as one observation.

A unit is a subject, or where decisions interfere with each other the whole cluster, during one block of time. All of
its decisions go to the same policy, by a hash of promotion and unit: replay finds the same ones, and nobody can choose.
As they share one draw they are one observation, their mean; each block draws anew, for else a test would count the
difference between two subjects as one between two policies.

Observations count in the order of their blocks, once the outcomes of a block are due, and what has no outcome by then
has the worst: a challenger whose failures take longer to be noticed, or are not reported, gains nothing by it.
"""

import hashlib

import msgspec

from federation.clock import SECOND
from federation.points import DecisionPoint
from federation.policy.sequential import Evidence, scaled, step

BLOCK = 3600 * SECOND
"""Length of a block unless the trial has another, ns."""


class Unit(msgspec.Struct):
    """closes: ledger time (ns) from which no outcome counts any more. share: probability with which it was going to be
    the challenger's. total: sum of the rewards that are known, each of 0 to 1."""

    closes: int
    challenger: bool
    share: float
    decisions: int = 0
    total: float = 0.0


class Canary(msgspec.Struct):
    """How one promotion stands at one point; folds its decisions and outcomes. promotion: its id. bounds: of the
    rewards. due: ns after which an outcome is due. block: length of a block, ns. open: units whose outcomes are not all
    due."""

    promotion: str
    bounds: tuple[float, float]
    due: int
    block: int = BLOCK
    evidence: Evidence = Evidence()
    open: dict[str, Unit] = {}

    def decided(self, unit: str, at: int, share: float) -> None:
        """A decision of the unit at ledger time `at` (ns), when this share of the units went to the challenger. A unit
        stays whose it was at its first decision."""
        known = self.open.get(unit)
        if known is None:
            closes = (at // self.block + 1) * self.block + self.due
            known = self.open[unit] = Unit(closes, challenger(self.promotion, unit, share), share)
        known.decisions += 1

    def came(self, unit: str, reward: float) -> None:
        """An outcome of one of the unit's decisions; of a unit that has been counted it comes too late."""
        if unit in self.open:
            self.open[unit].total += scaled(reward, self.bounds)

    def settle(self, now: int) -> None:
        """Counts the units whose outcomes are all due at ledger time `now` (ns)."""
        ended = sorted((unit.closes, name) for name, unit in self.open.items() if unit.closes <= now)
        for _, name in ended:
            unit = self.open.pop(name)
            if 0 < unit.share < 1:  # else it was not drawn, and tells nothing
                self.evidence = step(self.evidence, unit.total / unit.decisions, unit.challenger, unit.share)


def unit_of(point: DecisionPoint, subject: str, at: int, block: int = BLOCK) -> str:
    """The unit of a decision at ledger time `at` (ns). block: length of one, ns. Where decisions interfere only the
    blocks of time are drawn: what they share is the cluster."""
    return f"{'' if point.interferes else subject}@{at // block}"


def challenger(promotion: str, unit: str, share: float) -> bool:
    """Whether the challenger decides. share: of the units, 0 to 1; with a larger one the units of a smaller one stay
    the challenger's."""
    return draw(promotion, unit) < share


def draw(promotion: str, unit: str) -> float:
    """Evenly spread over 0 to below 1, the same on every machine."""
    digest = hashlib.sha256(f"{promotion}\0{unit}".encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / (1 << 53)
