"""A promise that broke: the policy decides nothing alone until what people answered shows that it may."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

import pytest

from federation.errors import Corrupt
from federation.policy.evidence import recalibrated
from federation.policy.exploration import taken
from federation.records import Drift, Event, Kind, Recalibrated, decode
from federation.replay import replay
from federation.replies import Rejected
from tests.policy.plant import POLICY, VALVE, Question, Works, question, several

ENOUGH = 400
CALM, WILD, HOPELESS = 0.1, 1.6, 60.0
"""Noise of the world, against differences of some 8 between candidates."""

Make = Callable[..., Works]


def works_in(folder: Path, mode: str = "act") -> Works:
    made = Works(folder, threshold=0.6, audit=0.8)
    made.mode("ulm.calibration/recalibrate", mode)
    return made


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with several(partial(works_in, tmp_path)) as making:
        yield making


@pytest.fixture(scope="module")
def recovered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    """A world that drifted, and a policy that was calibrated anew in it."""
    works, random = works_in(tmp_path_factory.mktemp("recovered")), Random(1)
    live(works, random, CALM, 200)
    drift(works, random, WILD)
    live(works, random, WILD, 3 * ENOUGH)
    act(works)
    yield works
    works.close()


def live(works: Works, random: Random, noise: float, count: int) -> tuple[int, int]:
    """So many questions, of which people answer those that go up. How many the policy decided alone, how many of these
    wrongly."""
    alone = wrong = 0
    while count > 0:
        asked = [question(random, noise) for _ in range(min(count, 40))]
        count -= len(asked)
        decisions = works.ask(asked, random.random)
        up = {}
        for decision, one, scored in zip(decisions, asked, works.scored(decisions), strict=True):
            if scored.tier == "policy":
                alone += 1
                wrong += taken(scored) != one.right
            else:
                up[decision] = one
        works.answer(up)
    return alone, wrong


def drift(works: Works, random: Random, noise: float) -> None:
    """The world drifts until it is noticed."""
    while not works.records(Kind.DRIFT):
        live(works, random, noise, 40)


def calibrations(works: Works) -> list[Recalibrated]:
    return [decode(record.header.kind, record.body) for record in works.records(Kind.CALIBRATION)]


def answers(works: Works) -> int:
    """Since the drift."""
    (lapse,) = works.ulm.state.lapses.values()
    assert works.ulm.collected is not None
    return len(works.ulm.collected.of(lapse))


def act(works: Works) -> None:
    """Time for ULM to look, and for what the gate released to be done."""
    works.minutes(1)
    asyncio.run(works.federation.act())


def test_a_world_that_keeps_still_breaks_no_promise(make: Make) -> None:
    works = make()
    alone, wrong = live(works, Random(1), CALM, 1000)
    assert alone > 150
    assert wrong < 0.05 * alone
    assert works.records(Kind.DRIFT) == []


def test_a_drift_is_put_on_record_once_and_ends_the_policys_turn_at_the_point(make: Make) -> None:
    works, random = make(), Random(2)
    live(works, random, CALM, 200)
    drift(works, random, WILD)
    assert live(works, random, WILD, 200) == (0, 0)
    (record,) = works.records(Kind.DRIFT)
    found: Drift = decode(Kind.DRIFT, record.body)
    assert (record.header.writer, record.header.point) == ("plant", VALVE.name)
    assert (found.policy, found.version, found.calibration, found.max_error) == (POLICY, 3, 1, 0.05)
    assert found.wrong / found.checked > 0.05


def test_until_there_are_enough_answers_nothing_is_decided_alone_or_calibrated(make: Make) -> None:
    works, random = make(), Random(4)
    drift(works, random, HOPELESS)
    works.minutes(1)
    live(works, random, HOPELESS, ENOUGH - 1 - answers(works))
    act(works)
    assert calibrations(works) == []
    assert live(works, random, HOPELESS, 1) == (0, 0)
    act(works)
    assert len(calibrations(works)) == 1


def test_what_people_answered_gives_the_policy_its_turn_back_where_it_is_right_enough(recovered: Works) -> None:
    (found,) = calibrations(recovered)
    assert (found.enough, found.calibration.times, found.calibration.version) == (True, 2, 3)
    assert recovered.ulm.view(0)["lapsed"] == []
    random = Random(3)
    asked = [question(random, WILD) for _ in range(1500)]
    alone = [
        (scored, one)
        for scored, one in zip(recovered.scored(recovered.ask(asked, random.random)), asked, strict=True)
        if scored.audit or scored.tier == "policy"
    ]
    assert len(alone) > 150
    assert sum(scored.choice != one.right for scored, one in alone) <= 0.05 * len(alone)
    assert {scored.calibration for scored, _ in alone} == {2}


def test_replay_takes_what_was_decided_under_either_calibration(recovered: Works) -> None:
    assert replay(recovered.store, recovered.points).identical


def test_after_a_restart_the_same_calibration_is_in_force(recovered: Works) -> None:
    (found,) = calibrations(recovered)
    desk, before = recovered.restarted()["plant"], recovered.federation.desks["plant"].counsel.state
    assert desk.counsel.state == before
    assert desk.counsel.calibration(VALVE.name, POLICY) == found.calibration
    desk.restore(desk.snapshot())
    assert desk.counsel.state == before


def test_a_restart_finds_ulm_where_it_was(make: Make) -> None:
    works, random = make(), Random(13)
    drift(works, random, HOPELESS)
    live(works, random, HOPELESS, ENOUGH)
    act(works)
    (lapse,) = works.ulm.state.lapses.values()
    assert (lapse.times, lapse.used >= ENOUGH) == (2, True)
    desk = works.restarted()["ulm"]
    assert desk.manager.state == works.ulm.state
    desk.restore(desk.snapshot())
    assert desk.manager.state == works.ulm.state


def test_who_only_follows_the_decisions_of_others_does_not_judge_them(make: Make) -> None:
    works = make()
    drift(works, Random(14), HOPELESS)
    desk = works.federation.desks["ulm"]
    for record in works.store.read(kinds=[Kind.SCORED, Kind.ANSWERED]):
        desk.absorb(record)
    assert desk.counsel.audits() == {}


def test_a_calibration_is_named_by_what_it_holds_and_can_be_made_again(recovered: Works) -> None:
    (found,) = calibrations(recovered)
    assert recalibrated(recovered.store, VALVE.name, found.after, found.upto, 2) == found
    assert recalibrated(recovered.store, VALVE.name, found.after, found.upto, 3).digest != found.digest
    assert recalibrated(recovered.store, VALVE.name, found.after, found.upto - 50, 2).evidence != found.evidence
    with pytest.raises(Corrupt, match="is no drift"):
        recalibrated(recovered.store, VALVE.name, found.after + 1, found.upto, 2)


def test_the_decision_to_calibrate_holds_all_that_came_of_it(recovered: Works) -> None:
    (record,) = recovered.records(Kind.CALIBRATION)
    kinds = [one.header.kind for one in recovered.store.decision(record.header.decision)]
    assert kinds == ["asked", "answered", "effect", "effect", "outcome", "calibration"]
    assert (record.header.writer, record.header.point) == ("ulm", VALVE.name)


def test_a_policy_that_is_no_good_any_more_stays_silent_however_often_it_is_calibrated(make: Make) -> None:
    works, random = make(), Random(5)
    drift(works, random, HOPELESS)
    for number in (2, 3):
        live(works, random, HOPELESS, ENOUGH)
        act(works)
        newest = calibrations(works)[-1]
        assert (newest.enough, newest.calibration.times) == (False, number)
        act(works)
        assert len(calibrations(works)) == number - 1, "once for so many answers"
    assert live(works, random, HOPELESS, 100) == (0, 0)
    assert calibrations(works)[1].calibration.spent < calibrations(works)[0].calibration.spent


def test_as_shipped_it_says_what_it_would_do_and_does_nothing(make: Make) -> None:
    works, random = make("observe"), Random(6)
    drift(works, random, HOPELESS)
    live(works, random, HOPELESS, ENOUGH)
    act(works)
    decided = [r for r in works.records(Kind.ANSWERED, "ulm.calibration") if b'"recalibrate"' in r.body]
    assert len(decided) == 1
    assert b'"mode":"observe"' in decided[0].body
    assert calibrations(works) == []


def test_where_a_person_has_to_agree_it_waits_for_one_and_later_answers_are_no_obstacle(make: Make) -> None:
    works, random = make("approve"), Random(7)
    drift(works, random, HOPELESS)
    live(works, random, HOPELESS, ENOUGH)
    act(works)
    assert calibrations(works) == []
    (case,) = [c for c in works.federation.desks["gate"].state.cases.values() if c.point == "gate.approval"]
    live(works, random, HOPELESS, 40)
    works.federation.answer("gate", case.decision, "approve", by="ada")
    asyncio.run(works.federation.act())
    assert len(calibrations(works)) == 1


def test_nobody_can_ask_for_it_where_no_promise_is_broken(make: Make) -> None:
    works = make()
    event = Event("e1", "somebody", "elias.policy.lapsed", f"{VALVE.name}/x", None, {"answers": 1000, "fresh": 1000})
    (reply,) = works.federation.post([event])
    assert isinstance(reply, Rejected)
    assert (reply.code, "none is broken now" in reply.cure) == ("no-drift", True)


def test_an_answer_that_came_to_nothing_is_not_taken_for_right(make: Make) -> None:
    works, random = make(), Random(11)
    drift(works, random, HOPELESS)
    one = Question((-0.01, -6.0, -6.0, -6.0), 0)
    (lapse,) = works.ulm.state.lapses.values()
    (decision,) = works.ask([one], random.random)
    works.answer({decision: one})
    works.failed(decision)
    works.minutes(1)
    assert works.ulm.collected is not None
    assert [told.right for told in works.ulm.collected.of(lapse).told()][-1] is None


def test_a_fail_over_to_another_policy_does_not_forget_a_broken_promise(make: Make) -> None:
    works, random = make(), Random(12)
    drift(works, random, HOPELESS)
    works.ask([question(random, CALM)] * 20, random.random, policy="b" * 64)
    assert live(works, random, CALM, 40) == (0, 0)
    assert len(works.records(Kind.DRIFT)) == 1
