"""What the ledger says of a trial: the same, however often and in which portions one looks."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from federation.clock import SECOND
from federation.policy import trials
from federation.policy.arms import BLOCK
from federation.policy.registry import Stage, Step
from federation.policy.trials import Observed
from tests.policy.plant import VALVE, Question, Works
from tests.policy.test_promotion import clear, hour, line, register, shuffled, stepped, works_in

HOURS = 4
HOLDS = Question((-6.0, -7.0, -5.0, -0.011), 3)
"""The policy is sure of `hold`, which has no effect."""


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    """A canary of a few hours, as shipped: nothing is done about it."""
    works = works_in(tmp_path_factory.mktemp("tried"), "observe")
    version = register(works)
    stepped(works, version, Step(Stage.CANARY, 0.5))
    for number in range(HOURS):
        hour(works, Random(number), {version: clear})
    yield works
    works.close()


def observed(works: Works) -> Observed:
    trial = line(works).trial
    assert trial is not None
    return Observed(works.store, VALVE, trial, trials.begun(works.store, VALVE.name, trial))


def test_looking_seldom_often_and_in_portions_comes_to_the_same(tried: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    now = tried.clock.now()
    once = observed(tried)
    once.read(now)
    often = observed(tried)
    for at in range(1_700_000_000 * SECOND, now, BLOCK // 3):
        often.read(at)
    often.read(now)
    monkeypatch.setattr(trials, "AT_ONCE", 7)
    portions = observed(tried)
    while portions.evidence.units < once.evidence.units:
        portions.read(now)
    assert once.evidence.units > 100
    assert often.evidence == once.evidence == portions.evidence
    assert often.decided == once.decided
    assert often.counted == once.counted


def test_the_evidence_is_in_favour_of_what_answers_rightly(tried: Works) -> None:
    seen = observed(tried)
    seen.read(tried.clock.now())
    assert seen.evidence.difference() > 0.1
    assert seen.decided[0.5] == pytest.approx(20 * HOURS, rel=0.5)
    assert seen.counted[0.5] <= seen.decided[0.5]


def test_what_is_not_due_yet_does_not_count(tried: Works) -> None:
    seen = observed(tried)
    seen.read(1_700_000_000 * SECOND + 60 * SECOND)
    assert seen.evidence.units == 0


def test_another_trial_is_none_of_its_business(tmp_path: Path) -> None:
    works = works_in(tmp_path, "observe")
    first, second = register(works, b"one"), register(works, b"two")
    stepped(works, first, Step(Stage.CANARY, 0.5))
    hour(works, Random(1), {first: shuffled})
    stepped(works, first, Step(Stage.WITHDRAWN))
    stepped(works, second, Step(Stage.CANARY, 0.5))
    hour(works, Random(2), {second: clear})
    seen = observed(works)
    seen.read(works.clock.now())
    assert (seen.number, seen.evidence.units) == (2, 40)
    works.close()


@pytest.mark.parametrize(("said", "known"), [(False, False), (True, True)])
def test_of_a_decision_without_an_effect_counts_what_somebody_says_came_of_it(
    tmp_path: Path, said: bool, known: bool
) -> None:
    works = works_in(tmp_path, "observe")
    version = register(works)
    stepped(works, version, Step(Stage.CANARY, 0.5))
    subjects = [f"valve{number}" for number in range(40)]
    decisions = works.ask([HOLDS] * 40, Random(1).random, subjects=subjects, others={version: clear})
    held = [one for one in works.scored(decisions) if one.tier == "policy"]
    assert len(held) > 20
    if said:
        refused = works.federation.report_outcomes("plant", [(one, 1.0, "it held") for one in decisions], "ada")
        assert refused.count(None) >= len(held)
    works.clock.advance(7200)
    seen = observed(works)
    seen.read(works.clock.now())
    assert (seen.counted[0.5] > 0) == known
    works.close()
