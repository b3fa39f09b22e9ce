"""What a simulated world is: it asks as a manager would, and knows what comes of every answer.

A world draws first what can be seen, then the rest of the world given what is seen. So for each question as many
completions of the world can be drawn as one likes, and the share of them in which a choice is right is known for every
choice: the best share is what the best possible policy reaches, for the noise is in the world and not in the policy.
"""

from collections.abc import Mapping
from random import Random
from typing import Any, NamedTuple, Protocol

from federation.points import DecisionPoint
from federation.records import Candidate


class Seen(NamedTuple):
    """What can be seen. facts: a missing key is unknown, None is absent, else canonical units. candidates: as the
    manager would propose them, in its order."""

    facts: Mapping[str, Any]
    candidates: tuple[Candidate, ...]


class World(Protocol):
    """One decision point.

    epsilon: a choice is right when its outcome is within this of the best one, in `point.outcome.unit`. families: the
    kinds of situation, the names of which say what they are. held_out: the family that nothing is trained, calibrated
    or chosen on. rules: a TIKI spec of the point that decides everything by rules, as a careful author would write it
    who had no policy.
    """

    point: DecisionPoint
    epsilon: float
    families: tuple[str, ...]
    held_out: str
    rules: str

    def ask(self, family: str, random: Random) -> Seen:
        """A situation of this family. Nothing in it tells the family."""
        ...

    def outcomes(self, seen: Seen, random: Random) -> tuple[float, ...]:
        """Draws the rest of the world given what is seen, and what comes of each candidate in that one world, in order
        and in `point.outcome.unit`. Uses nothing but `seen`."""
        ...
