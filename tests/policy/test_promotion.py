"""A challenger comes from the store over shadow and canary to the champion of a point, or back."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from federation.manager import Emission
from federation.policy import artefacts
from federation.policy.exploration import taken
from federation.policy.promotions import Promotion, Shadowed
from federation.policy.registry import Line
from federation.records import Kind, Scored, decode
from federation.replay import replay
from managers.ulm.promoting import registered
from tests.policy.plant import SPEC, VALVE, Question, Says, Works, calibration
from tests.policy.shelf import GAIN, policy

SUBJECTS = [f"valve{number}" for number in range(40)]
HOUR = 3600.0

Make = Callable[..., Works]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Works] = []

    def works(mode: str = "act") -> Works:
        made.append(Works(tmp_path, SPEC, threshold=0.9))
        for action in ("advance", "promote", "roll_back"):
            made[-1].mode(f"ulm.promotion/{action}", mode)
        return made[-1]

    yield works
    for one in made:
        one.close()


def register(works: Works, weights: bytes = b"weights") -> str:
    """A policy with a forged or an honest estimate comes in: of 12 %."""
    source = works.settings.state / f"made-{weights.hex()}"
    version = policy(source, {VALVE.name: calibration(0.9)}, {VALVE.name: GAIN}, weights)
    artefacts.store(works.settings.state, source)
    found = registered(works.settings, version, works.points, source=source.name, by="ada", at=works.clock.now())
    works.federation.note(Emission(Kind.POLICY, "", "", "", found), "ulm")
    return version


def line(works: Works) -> Line:
    """As the plant's own desk has it."""
    return works.federation.desks["plant"].state.counsel.lines.get(VALVE.name, Line())


def steps(works: Works) -> list[Promotion]:
    return [decode(record.header.kind, record.body) for record in works.records(Kind.PROMOTION)]


def stages(works: Works) -> list[tuple[str, float]]:
    return [(step.stage, step.share) for step in steps(works)]


def clear(asked: Question) -> tuple[float, ...]:
    """A challenger that sees what is right."""
    return tuple(-0.0003 if number == asked.right else -9.0 for number in range(4))


def shuffled(asked: Question) -> tuple[float, ...]:
    """One that was trained on labels of others: it is sure of the wrong one."""
    wrong = (asked.right + 1 + int(-1000 * asked.scores[0]) % 3) % 4
    return tuple(-0.0003 if number == wrong else -9.0 for number in range(4))


def question(random: Random, noise: float) -> Question:
    """Never to be left alone, so something comes of each answer."""
    right = random.randrange(3)
    best = right if random.random() > noise else random.randrange(3)
    return Question(tuple(-0.02 if number == best else -5.0 for number in range(4)), right)


def act(works: Works) -> None:
    """Time for ULM to look, and for what the gate released to be done."""
    works.minutes(1)
    asyncio.run(works.federation.act())


def hour(works: Works, random: Random, others: dict[str, Says], noise: float = 0.4) -> list[Scored]:
    """Something is asked about every valve, people and the world answer, ULM looks."""
    asked = [question(random, noise) for _ in SUBJECTS]
    decisions = works.ask(asked, random.random, subjects=SUBJECTS, others=others)
    found = works.scored(decisions)
    waiting = {}
    for decision, one, scored in zip(decisions, asked, found, strict=True):
        if scored.tier != "policy":
            waiting[decision] = one
        elif decision in works.federation.gate.state.released:
            reward = float(taken(scored) == one.right)
            works.came(decision, reward)
    works.answer(waiting)
    works.clock.advance(HOUR - 60)
    act(works)
    return found


def until(works: Works, others: dict[str, Says], ended: Callable[[], bool], hours: int = 60) -> None:
    random = Random(7)
    for _ in range(hours):
        if ended():
            return
        hour(works, random, others)
    raise AssertionError(f"after {hours} hours: {stages(works)}, {works.ulm.view(works.clock.now())['trials']}")


def test_a_better_challenger_comes_over_shadow_and_canary_to_the_champion(make: Make) -> None:
    works = make()
    version = register(works)
    until(works, {version: clear}, lambda: line(works).champion == version)
    assert stages(works)[0] == ("shadow", 0.0)
    assert ("canary", 0.05) in stages(works)
    assert stages(works)[-1] == ("champion", 1.0)
    shadowed: list[Shadowed] = [decode(r.header.kind, r.body) for r in works.records(Kind.SHADOWED)]
    assert len(shadowed) >= 200
    assert {one.policy for one in shadowed} == {version}
    (first, *_) = works.records(Kind.PROMOTION)
    kinds = [record.header.kind for record in works.store.decision(first.header.decision)]
    assert kinds == ["asked", "answered", "effect", "effect", "outcome", "promotion"]
    assert {one.policy for one in hour(works, Random(1), {version: clear})} == {version}
    assert replay(works.store, works.points).identical
