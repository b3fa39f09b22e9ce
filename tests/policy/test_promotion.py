"""A challenger comes from the store over shadow and canary to the champion of a point, or back."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

import pytest

from federation.errors import Refused
from federation.manager import Emission
from federation.policy import artefacts, shadow
from federation.policy.exploration import taken
from federation.policy.promotions import Promotion, Shadowed
from federation.policy.registry import Line, Stage, Step, after
from federation.records import Kind, Scored, decode
from federation.replay import replay
from managers.ulm.promoting import registered
from tests.policy.plant import POLICY, VALVE, Killed, Question, Says, Works, calibration, several
from tests.policy.shelf import GAIN, policy

SUBJECTS = [f"valve{number}" for number in range(40)]
HOUR = 3600.0

Make = Callable[..., Works]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with several(partial(works_in, tmp_path)) as making:
        yield making


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    """A better challenger came all the way."""
    works = works_in(tmp_path_factory.mktemp("promoted"), "act")
    version = register(works)
    until(works, {version: clear}, lambda: line(works).champion == version)
    yield works
    works.close()


def works_in(folder: Path, mode: str = "act") -> Works:
    works = Works(folder)
    for action in ("advance", "promote", "roll_back"):
        works.mode(f"ulm.promotion/{action}", mode)
    return works


def register(works: Works, weights: bytes = b"weights") -> str:
    """A policy with a forged or an honest estimate comes in: of 12 %."""
    source = works.settings.state / f"made-{weights.hex()}"
    version = policy(source, {VALVE.name: calibration(0.9)}, {VALVE.name: GAIN}, weights)
    artefacts.store(works.settings.state, source)
    found = registered(works.settings, version, works.points, source=source.name, by="ada", at=works.clock.now())
    works.federation.note(Emission(Kind.POLICY, "", "", "", found), "ulm")
    return version


def word(works: Works, version: str, to: Step) -> Emission:
    """Of a person."""
    now, known = works.clock.now(), calibration(0.9)
    return works.ulm.trials.word(
        works.ulm.state.trials, VALVE.name, version, to, by="ada", reason="try", at=now, calibration=known
    )


def stepped(works: Works, version: str, to: Step) -> None:
    works.federation.note(word(works, version, to), "ulm")


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


def agreeing(asked: Question) -> tuple[float, ...]:
    """One that says what the champion says."""
    return asked.scores


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


def test_a_better_challenger_comes_over_shadow_and_canary_to_the_champion(promoted: Works) -> None:
    version = line(promoted).champion
    assert stages(promoted)[:2] == [("shadow", 0.0), ("canary", 0.05)]
    assert stages(promoted)[-1] == ("champion", 1.0)
    shadowed: list[Shadowed] = [decode(r.header.kind, r.body) for r in promoted.records(Kind.SHADOWED)]
    assert len(shadowed) >= 200
    assert {one.policy for one in shadowed} == {version}
    (first, *_) = promoted.records(Kind.PROMOTION)
    kinds = [record.header.kind for record in promoted.store.decision(first.header.decision)]
    assert kinds == ["asked", "answered", "effect", "effect", "outcome", "promotion"]
    assert {one.policy for one in hour(promoted, Random(1), {version: clear})} == {version}
    assert replay(promoted.store, promoted.points).identical


def test_a_sabotaged_challenger_is_rolled_back_by_itself_in_its_first_share(make: Make) -> None:
    """It was trained on shuffled labels, and its estimate was forged. Its agreement is made to pass too."""
    works = make()
    version = register(works)
    until(works, {version: agreeing}, lambda: line(works).trial is not None and stages(works)[-1][0] == "canary")
    until(works, {version: shuffled}, lambda: line(works).trial is None)
    assert stages(works) == [("shadow", 0.0), ("canary", 0.05), ("rolled_back", 0.0)]
    assert steps(works)[-1].reason == "harmful"
    assert line(works).champion == ""
    assert {one.policy for one in hour(works, Random(1), {version: shuffled})} == {POLICY}
    for _ in range(3):
        hour(works, Random(2), {version: shuffled})
    assert len(stages(works)) == 3, "it does not come again by itself"
    assert replay(works.store, works.points).identical


def test_a_stranger_does_not_come_out_of_the_shadow(make: Make) -> None:
    works = make()
    version = register(works)
    until(works, {version: shuffled}, lambda: len(stages(works)) == 2)
    assert stages(works) == [("shadow", 0.0), ("rolled_back", 0.0)]


def test_as_shipped_it_says_what_it_would_do_and_nothing_is_tried(make: Make) -> None:
    works = make("observe")
    version = register(works)
    for _ in range(3):
        hour(works, Random(3), {version: clear})
    assert stages(works) == []
    said = [decode(r.header.kind, r.body) for r in works.records(Kind.ANSWERED, "ulm.promotion")]
    assert {(one.action, one.mode) for one in said} == {("advance", "observe")}


def test_a_person_confirms_a_step_where_the_mode_says_so(make: Make) -> None:
    works = make("approve")
    version = register(works)
    act(works)
    assert stages(works) == []
    (decision,) = works.federation.desks["gate"].cases.open
    works.federation.answer("gate", decision, "approve", by="ada")
    asyncio.run(works.federation.act())
    assert stages(works) == [("shadow", 0.0)]
    assert steps(works)[0].challenger == version


def test_in_its_canary_each_unit_has_one_policy_and_the_record_says_by_which_lot(make: Make) -> None:
    works = make()
    version = register(works)
    stepped(works, version, Step(Stage.CANARY, 0.2))
    found = hour(works, Random(4), {version: clear}) + hour(works, Random(5), {version: clear})
    lots = [scored.lot for scored in found if scored.lot is not None]
    assert len(lots) == len(found)
    for scored, lot in zip(found, lots, strict=True):
        assert scored.policy == (version if lot.arm == "challenger" else POLICY)
        assert (lot.trial, lot.share) == (1, 0.2)
    challenged = sum(lot.arm == "challenger" for lot in lots)
    assert 4 <= challenged <= 32  # of 80, each with 20 %
    by_unit = {(lot.unit, lot.arm) for lot in lots}
    assert len({unit for unit, _ in by_unit}) == len(by_unit)


def test_a_challenger_that_cannot_be_loaded_loses_no_decision_and_the_record_says_so(make: Make) -> None:
    works = make()
    version = register(works)
    stepped(works, version, Step(Stage.CANARY, 0.2))
    found = [scored for _ in range(2) for scored in hour(works, Random(6), {})]
    fallen = [scored for scored in found if scored.lot is not None and scored.lot.arm == "challenger"]
    assert fallen
    for scored in fallen:
        assert scored.policy == POLICY
        assert scored.reason.startswith(f"policy {version[:12]} cannot be loaded; ")


def test_one_word_brings_the_champion_before_back(make: Make) -> None:
    works = make()
    version = register(works)
    stepped(works, version, Step(Stage.CHAMPION, 1.0))
    assert {one.policy for one in hour(works, Random(8), {version: clear})} == {version}
    stepped(works, version, Step(Stage.ROLLED_BACK))
    assert line(works).champion == ""
    assert {one.policy for one in hour(works, Random(8), {version: clear})} == {POLICY}
    with pytest.raises(Refused, match="no champion before"):
        stepped(works, "", Step(Stage.ROLLED_BACK))
    assert replay(works.store, works.points).identical


def test_a_restart_finds_every_desk_where_it_was(promoted: Works) -> None:
    desks = promoted.restarted()
    assert desks["plant"].state.counsel == promoted.federation.desks["plant"].state.counsel
    assert desks["ulm"].manager.state.trials == promoted.ulm.state.trials
    for desk in desks.values():
        before = desk.state.counsel
        desk.restore(desk.snapshot())
        assert desk.state.counsel == before


def test_killed_before_any_commit_of_a_promotion_it_goes_on_and_there_is_one_champion(tmp_path: Path) -> None:
    """Each commit from the decision to promote to the record that makes the champion is the last one once."""
    killed = 0
    for lives in range(8):
        folder = tmp_path / str(lives)
        folder.mkdir()
        works = works_in(folder, "act")
        version = register(works)
        stepped(works, version, Step(Stage.CANARY, 0.5))
        for _ in range(2):
            hour(works, Random(9), {version: clear})
        works.federation.lives = lives
        try:
            hour(works, Random(10), {version: clear})
        except Killed:
            killed += 1
            works.restart()
        until(works, {version: clear}, lambda works=works, version=version: line(works).champion == version)  # type: ignore[misc]
        ends = [step for step in steps(works) if step.stage == "champion"]
        assert [step.challenger for step in ends] == [version]
        assert champions(works) == ["", version]
        works.close()
    assert killed == 8


def champions(works: Works) -> list[str]:
    """At the valve, one after the other, as whoever reads the log sees them."""
    now, found = Line(), [""]
    for record in works.records(Kind.PROMOTION, VALVE.name):
        now = after(now, decode(record.header.kind, record.body))
        if now.champion != found[-1]:
            found.append(now.champion)
    return found


def test_of_two_who_promote_at_once_the_first_on_record_counts_for_everybody(make: Make) -> None:
    works = make()
    first, second = register(works, b"one"), register(works, b"two")
    for said in [word(works, version, Step(Stage.CHAMPION, 1.0)) for version in (first, second)]:
        works.federation.note(said, "ulm")
    assert line(works).champion == first
    assert works.restarted()["plant"].state.counsel.lines[VALVE.name].champion == first
    assert not replay(works.store, works.points).identical


def test_questions_left_over_from_a_trial_take_no_room_from_the_next(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "MOST", 1)
    works = make("observe")
    first, second = register(works, b"one"), register(works, b"two")
    stepped(works, first, Step(Stage.SHADOW))
    with monkeypatch.context() as busy:
        busy.setattr(works.federation, "shadows", dict)
        works.ask([question(Random(1), 0.0)], lambda: 0.5)
    stepped(works, first, Step(Stage.WITHDRAWN))
    assert works.federation.shadows() == {}
    stepped(works, second, Step(Stage.SHADOW))
    works.ask([question(Random(2), 0.0)], lambda: 0.5, others={second: clear})
    (record,) = works.records(Kind.SHADOWED)
    assert decode(record.header.kind, record.body).policy == second
