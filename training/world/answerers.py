"""Whoever answers what specs and policy leave open, with a stated skill."""

from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple, Protocol

from federation.records import Asked
from training.world.hindsight import right
from training.world.world import World


class Choice(NamedTuple):
    """candidate: index of the asked ones. is_right: whether hindsight agrees."""

    candidate: int
    is_right: bool


class Answerer(Protocol):
    """takes: seconds until it answers."""

    name: str
    takes: float

    def answer(self, world: World, point: str, asked: Asked, offered: list[int]) -> Choice | None:
        """One of `offered`, as the world stands now; None: it asks a person."""
        ...


@dataclass
class Skilled:
    """Chooses right in a share `skill` of what it answers, and asks a person in a share `unsure` of what it is asked.

    It stands for an advisor or a person whose skill is known; it knows the hindsight, and is made to err.
    """

    name: str
    skill: float
    takes: float
    unsure: float = 0.0
    random: Random = field(default_factory=lambda: Random(0))

    def answer(self, world: World, point: str, asked: Asked, offered: list[int]) -> Choice | None:
        if self.random.random() < self.unsure:
            return None
        good = [index for index in offered if index in right(world, point, asked)]
        bad = [index for index in offered if index not in good]
        hits = self.random.random() < self.skill
        pool = (good if hits else bad) or good or bad
        choice = self.random.choice(pool)
        return Choice(choice, choice in good)
