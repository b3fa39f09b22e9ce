"""How hard the questions of each scenario are: chance is mostly wrong, rules are wrong in part, and what can be known
is nearly enough.
"""

from typing import NamedTuple

import pytest

from training.quality import measure
from training.scenarios.generate import generate, points, scenario


class Hard(NamedTuple):
    """chance: the part that is answered rightly by chance, at most; rules, best: by rules, and by what can be known, at
    least. action: the part of the questions to which each action is the right answer, at least."""

    chance: float = 0.5
    rules: float = 0.6
    best: float = 0.95
    action: float = 0.0


HARD = {
    "uam.restart": Hard(best=0.94),
    "ucm.coordination": Hard(chance=0.4, rules=0.65, action=0.05),
    "ucm.storm": Hard(chance=0.4, rules=0.65, action=0.02),
    "ufm.dispatch": Hard(),
    "uim.rollout": Hard(),
    "ulm.optimisation": Hard(rules=0.65, action=0.2),
    "urm.package": Hard(),
    "urm.resource_pressure": Hard(),
}


@pytest.mark.parametrize("point", HARD)
def test_questions_are_as_hard_as_they_should_be(point: str) -> None:
    wanted = HARD[point]
    found = measure(scenario(point), [*generate(point, "test", 250), *generate(point, "held_out", 60)])
    print({name: (round(f.random, 3), round(f.rules, 3), round(f.best, 3)) for name, f in found.families.items()})
    assert found.overall.random < wanted.chance
    assert wanted.rules < found.overall.rules < 0.88
    assert wanted.best < found.overall.best < 0.99
    assert min(family.consults for family in found.families.values()) > 0.5
    assert min(answers.right for answers in found.actions.values()) >= wanted.action


def test_every_scenario_is_measured() -> None:
    assert set(HARD) == set(points())
