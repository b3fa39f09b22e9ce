"""When a policy is trained again, whether, how and from what: decided on a real ledger, months in virtual time."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from federation.manager import Emission
from federation.policy.promotions import Lot, Promotion, Registered
from federation.policy.registry import Stage
from federation.records import Answered, Asked, Entry, Event, Kind, Outcome, Scored, decode
from federation.replay import replay
from federation.replies import Rejected
from managers.ulm.training import Training, name_of
from tests.policy.plant import POLICY, VALVE, Works, question

DAY = 86400.0
NAME = name_of(POLICY)
CALM, WILD = 0.1, 6.0


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    made = Works(tmp_path, threshold=0.9, audit=0.3)
    yield made
    made.close()


def live(works: Works, count: int, noise: float = CALM, seed: int = 1) -> None:
    """So many questions, of which people answer those that the policy is not sure of."""
    random = Random(seed)
    while count > 0:
        asked = [question(random, noise) for _ in range(min(count, 50))]
        count -= len(asked)
        decisions = works.ask(asked, random.random)
        found = works.scored(decisions)
        works.answer({d: one for d, one, s in zip(decisions, asked, found, strict=True) if s.tier != "policy"})


def days(works: Works, count: float) -> None:
    works.clock.advance(count * DAY)
    works.federation.tick()


def register(works: Works, policy: str = POLICY, source: str = "policies/mini") -> None:
    made = Registered(
        policy=policy,
        content="c" * 64,
        name="mini",
        parameters=900_000,
        preset={},
        data={},
        metrics={},
        calibration="d" * 64,
        points={},
        estimates={},
        signers=[],
        source=source,
        by="ada",
        at=works.clock.now(),
    )
    works.federation.note(Emission(Kind.POLICY, "", "", "", made))


def asked(works: Works, point: str) -> list[Asked]:
    return [decode(Kind.ASKED, one.body) for one in works.records(Kind.ASKED, point)]


def answers(works: Works, point: str) -> list[Answered]:
    return [decode(Kind.ANSWERED, one.body) for one in works.records(Kind.ANSWERED, point)]


def facts(works: Works) -> dict[str, Any]:
    """What ulm.retrain would be asked now."""
    event = Event("now", "test", "elias.policy.aged", NAME)
    return dict(works.ulm.facts(works.federation.desks["ulm"].points["ulm.retrain"], event, works.clock.now()))


def clauses(works: Works) -> list[str]:
    return [one.clause for one in answers(works, "ulm.retrain")]


def test_nothing_is_asked_before_a_policy_is(works: Works) -> None:
    days(works, 400)
    assert asked(works, "ulm.retrain") == []


def test_after_a_year_it_is_trained_again_and_that_is_said_once_a_week(works: Works) -> None:
    live(works, 10)
    days(works, 364)
    assert clauses(works) == []
    days(works, 1)
    works.minutes(10)
    assert clauses(works) == ["yearly"]
    days(works, 7)
    assert clauses(works) == ["yearly", "yearly"]


@pytest.mark.parametrize(("examples", "said"), [(999, []), (1000, ["enough"])])
def test_half_a_year_and_a_thousand_new_examples(works: Works, examples: int, said: list[str]) -> None:
    live(works, examples)
    days(works, 181)
    assert clauses(works) == []
    days(works, 1)
    assert clauses(works) == said
    assert facts(works)["new_examples"] == examples


def test_a_policy_that_gets_worse_is_trained_again_at_once(works: Works) -> None:
    live(works, 450)
    works.minutes(2)
    assert facts(works)["drift"] is None
    assert clauses(works) == []
    live(works, 450, WILD, seed=2)
    works.minutes(2)
    assert facts(works)["drift"] >= 5
    assert clauses(works) == ["worse"]


def test_a_world_that_stays_as_it_is_gives_no_reason(works: Works) -> None:
    live(works, 1200)
    works.minutes(2)
    assert clauses(works) == []


def test_a_registered_policy_is_as_old_as_its_registration_and_has_learned_what_was_on_record(works: Works) -> None:
    live(works, 30)
    days(works, 20)
    register(works)
    live(works, 7)
    days(works, 5)
    assert facts(works)["age"] == pytest.approx(5 * DAY, abs=1)
    assert facts(works)["new_examples"] == 7


def test_while_a_challenger_is_on_trial_nothing_is_trained(works: Works) -> None:
    live(works, 10)
    stages = (Stage.SHADOW, Stage.ROLLED_BACK)
    made = [Promotion(n, 1, "b" * 64, "", stage, 0.0, None, "ada", "", "", 1) for n, stage in enumerate(stages, 1)]
    works.federation.note(Emission(Kind.PROMOTION, VALVE.name, "", "", made[0]))
    assert facts(works)["on_trial"] == 1
    days(works, 365)
    assert [one.action for one in answers(works, "ulm.retrain")] == ["hold"]
    works.federation.note(Emission(Kind.PROMOTION, VALVE.name, "", "", made[1]))
    days(works, 7)
    assert [one.action for one in answers(works, "ulm.retrain")] == ["hold", "retrain"]


def test_one_question_leads_to_the_next_until_it_is_known_what_to_train(works: Works) -> None:
    works.federation.report("ulm", [{"node": "n1", "cpu": 5.0, "memory": 40.0, "memory_total": 8 << 30, "gpus": []}])
    register(works)
    live(works, 600, WILD)
    days(works, 364)
    live(works, 100, WILD, seed=3)
    days(works, 1)
    assert [one.action for one in answers(works, "ulm.retrain")] == ["retrain"]
    (worth,) = asked(works, "ulm.should_train")
    assert (worth.event.subject, worth.facts["budget"], worth.facts["volume"] > 10 / DAY) == (NAME, None, True)
    (method,) = asked(works, "ulm.training_method")
    assert (method.facts["examples"], method.facts["hardware"], method.facts["parameters"]) == (700, "cpu", 900_000)
    (chosen,) = answers(works, "ulm.training_method")
    assert (chosen.action, chosen.clause) == ("full", "little")
    (base,) = asked(works, "ulm.base_model")
    assert (base.facts["role"], base.facts["method"]) == ("operator", "full")
    (train,) = answers(works, "ulm.base_model")
    assert (train.action, train.args, train.mode) == ("train", {"base": "current"}, "observe")
    assert works.records(Kind.EFFECT, "ulm.base_model") == []


def test_a_training_that_may_act_runs_until_its_end_and_what_came_of_it_begins_anew(works: Works) -> None:
    works.mode("ulm.base_model/train", "act")
    live(works, 600)
    data = {"role": "operator", "parameters": 900_000, "method": "full", "objective": "grpo", "hardware": "cpu"}
    (replies,) = works.federation.post([Event("t1", "ada", "elias.training.prepared", NAME, None, data)])
    assert not isinstance(replies, Rejected)
    assert facts(works)["training"] is True
    released = works.federation.gate.state.released.values()
    (wish,) = (one for one in released if one.point == "ulm.base_model")
    assert wish.effect.payload["from"] == POLICY
    assert (wish.effect.payload["objective"], wish.effect.payload["seconds"]) == ("grpo", 2 * DAY)
    live(works, 30, seed=5)
    days(works, 1)
    register(works, "b" * 64, source=f"trainings/{wish.decision}/policy")
    works.federation.outcome(wish.decision, Outcome("done", reward=1.0))
    assert (facts(works)["training"], facts(works)["new_examples"]) == (False, 30)
    assert facts(works)["age"] == pytest.approx(DAY, abs=1)
    (run,) = works.ulm.view(works.clock.now())["trainings"]
    assert (run["status"], run["trained"], run["examples"]) == ("done", "b" * 64, 600)
    assert works.ulm.state.training.watched["b" * 12].examples == 600


def test_a_policy_that_is_asked_little_is_not_worth_a_training(works: Works) -> None:
    live(works, 10)
    days(works, 365)
    assert [one.action for one in answers(works, "ulm.should_train")] == ["hold"]
    assert asked(works, "ulm.training_method") == []


@pytest.mark.parametrize(
    ("data", "action"),
    [
        ({"quality": "82%", "volume": "500_per_day", "budget": 50_000, "timeline": "77d"}, "train"),
        ({"quality": "82%", "volume": "500_per_day", "budget": 5_000, "timeline": "77d"}, "hold"),
    ],
)
def test_a_person_asks_about_a_project_of_his_own(works: Works, data: dict[str, Any], action: str) -> None:
    (replies,) = works.federation.post([Event("p1", "ada", "elias.training.wanted", "assistant", None, data)])
    assert not isinstance(replies, Rejected)
    assert replies[0].action == action


def test_the_objective_is_the_first_that_the_record_has_enough_for(works: Works) -> None:
    def objective(**data: int) -> Any:
        event = Event(str(data), "ada", "elias.training.granted", "assistant", None, {**data, "hardware": "gpu"})
        (replies,) = works.federation.post([event])
        assert not isinstance(replies, Rejected)
        return replies[0].args["objective"]

    assert objective(examples=900, rewarded=900, overridden=900, advised=900) == "grpo"
    assert objective(examples=900, rewarded=90, overridden=200, advised=900) == "dpo"
    assert objective(examples=900, rewarded=90, overridden=90, advised=200) == "distil"
    assert objective(examples=900, rewarded=90, overridden=90, advised=90) == "sft"


def test_four_bits_are_offered_where_a_gpu_is(works: Works) -> None:
    data = {"examples": 900, "hardware": "cpu", "memory": "16GB"}
    (replies,) = works.federation.post([Event("q", "ada", "elias.training.granted", "assistant", None, data)])
    assert not isinstance(replies, Rejected)
    assert replies[0].action == "hold"
    assert "no candidate for qlora" in answers(works, "ulm.training_method")[0].reason


@pytest.mark.parametrize(
    ("engine", "lot", "in_force"),
    [
        ("embedded", None, {"p.q": NAME}),
        ("embedded", Lot(1, "champion", "u", 0.2), {"p.q": NAME}),
        ("embedded", Lot(1, "challenger", "u", 0.2), {}),
        ("tables", None, {}),
    ],
)
def test_in_force_is_the_champion_and_no_model_of_numbers(
    engine: str, lot: Lot | None, in_force: dict[str, str]
) -> None:
    training = Training()
    scored = Scored(POLICY, engine, [0, 1], [-0.1, -2.4], 0, 0.9, None, "operator", "", 1, lot=lot)
    training.fold(Entry(Kind.SCORED, "p.q", "s", "d", b""), scored)
    assert training.in_force == in_force


def test_a_question_about_a_policy_that_nobody_asks_is_refused_with_those_there_are(works: Works) -> None:
    live(works, 1)
    (refused,) = works.federation.post([Event("q", "ada", "elias.policy.aged", "other")])
    assert isinstance(refused, Rejected)
    assert (refused.code, NAME in refused.cure) == ("no-policy", True)


def test_a_restart_finds_the_counts_where_they_were(works: Works) -> None:
    register(works)
    live(works, 450)
    live(works, 300, WILD, seed=2)
    days(works, 365)
    desk = works.restarted()["ulm"]
    assert desk.manager.state.training == works.ulm.state.training
    desk.restore(desk.snapshot())
    assert desk.manager.state.training == works.ulm.state.training


def test_what_is_kept_does_not_grow_with_the_questions(works: Works) -> None:
    live(works, 600)
    before = len(msgspec.json.encode(works.ulm.state.training))
    live(works, 1400, seed=2)
    assert len(msgspec.json.encode(works.ulm.state.training)) < before + 100 * 1400


def test_replay_takes_every_decision_about_training(works: Works) -> None:
    live(works, 1000)
    days(works, 365)
    assert len(answers(works, "ulm.should_train")) == 1
    assert replay(works.store, works.points).identical


def test_the_view_tells_how_each_policy_stands(works: Works) -> None:
    live(works, 450)
    (shown,) = works.ulm.view(works.clock.now())["policies"]
    assert (shown["policy"], shown["points"], shown["new_examples"]) == (POLICY, [VALVE.name], 450)
    assert shown["quality"] > 80
