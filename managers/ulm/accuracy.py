"""How often a policy is right, from the answers of those above it, and whether that has dropped.

What a policy decides alone is checked now and then; what it is not sure of is answered by somebody else every time. The
two are strata of very different size, so each counts by the questions in it and not by the answers that are known of
it: a policy that suddenly asks more would seem to get better or worse by that alone (post-stratification; Cochran,
Sampling Techniques, 3rd edition, 1977, section 5A.9).
"""

import math

import msgspec

BLOCK = 200
"""Answers known in a block: with 90 % right, the share is known to about 2 % and a drop of 7 % is seen."""

LEAST = 20
"""Answers known in a stratum before its share counts."""

SMALL = 0.05
"""Of all questions: a stratum that has no more of them may go unknown."""

CHANCE = 2.326
"""Standard errors that a drop has to exceed: one block in a hundred does by chance."""


class Stratum(msgspec.Struct):
    """asked: questions. checked: of these the ones whose right answer is known; right: the policy's was it."""

    asked: int = 0
    checked: int = 0
    right: int = 0


class Block(msgspec.Struct):
    """Questions in a row. alone: the policy was sure of its answer. up: somebody above it was asked."""

    alone: Stratum = msgspec.field(default_factory=Stratum)
    up: Stratum = msgspec.field(default_factory=Stratum)

    @property
    def asked(self) -> int:
        return self.alone.asked + self.up.asked

    @property
    def full(self) -> bool:
        known = all(one.checked >= LEAST or one.asked <= SMALL * self.asked for one in (self.alone, self.up))
        return known and self.alone.checked + self.up.checked >= BLOCK

    def stratum(self, *, alone: bool) -> Stratum:
        return self.alone if alone else self.up

    def accuracy(self) -> float:
        """Share of right answers among all questions, from 0 to 1."""
        return math.fsum(share * one.right / one.checked for share, one in self._shares())

    def variance(self) -> float:
        """Of `accuracy`. Shares near 0 and 1 are drawn in (Agresti and Coull, The American Statistician 52, 1998), for
        20 of 20 are no certainty."""
        found = 0.0
        for share, one in self._shares():
            drawn_in = (one.right + 2) / (one.checked + 4)
            found += share**2 * drawn_in * (1 - drawn_in) / one.checked
        return found

    def _shares(self) -> list[tuple[float, Stratum]]:
        known = [one for one in (self.alone, self.up) if one.checked]
        asked = sum(one.asked for one in known)
        return [(one.asked / asked, one) for one in known]


class Accuracy(msgspec.Struct):
    """Of one policy at one point, in blocks. first, last: the first full block and the newest one; None: not yet."""

    first: Block | None = None
    last: Block | None = None
    filling: Block = msgspec.field(default_factory=Block)

    def asked(self, *, alone: bool, may: bool = True) -> None:
        """may: the policy may decide alone. Since it may not, nothing of what it decided alone is checked any more, and
        a block with such questions would wait for that; a new one begins. Where none was full until then, what it knows
        is what the later ones are compared with: the fewer checks, the larger a drop has to be."""
        if not may and self.filling.alone.asked:
            if self.first is None and self.filling.alone.checked >= LEAST:
                self.first = self.filling
            self.filling = Block()
        self.filling.stratum(alone=alone).asked += 1

    def checked(self, *, alone: bool, right: bool) -> None:
        """The right answer to a question has become known."""
        stratum = self.filling.stratum(alone=alone)
        stratum.checked += 1
        stratum.asked = max(stratum.asked, stratum.checked)  # it may have been asked in the block before
        stratum.right += right
        if self.filling.full:
            self.first, self.last, self.filling = self.first or self.filling, self.filling, Block()

    def drop(self) -> float | None:
        """By how much the share of right answers has dropped from the first block to the last one, from 0 to 1; None:
        it has not, or by no more than chance would have it."""
        if self.first is None or self.last is None:
            return None
        lost = self.first.accuracy() - self.last.accuracy()
        error = math.sqrt(self.first.variance() + self.last.variance())
        return lost if lost > CHANCE * error else None
