"""What the policy is not sure of an advisor answers, and what neither may answer alone a person does."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from federation.advisors.question import Advice, Question, Spent
from federation.advisors.settings import AdvisorSettings, Provider
from federation.counsel import Heard
from federation.local import points_of
from federation.points import DecisionPoint
from federation.policy.tier import Said, Tier
from federation.records import Advised, Kind, Scored, decode
from federation.replay import replay
from federation.replies import Reply
from federation.settings import Settings
from tests.federation import lab as laboratory
from tests.federation.lab import FURNACE, SPEC, Lab, Laboratory
from tests.federation.test_consults import POLICY, calibration

PROVIDERS = (Provider(kind="openai", model="stub", base_url="http://127.0.0.1:1/v1"),)
SURE = (0.05, 0.9, 0.05)
UNSURE = (0.3, 0.4, 0.3)
COOL, VENT, HOLD = 0, 1, 2

Make = Callable[..., Laboratory]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    made: list[Laboratory] = []

    def build(
        *, critical: bool = False, spec: str = SPEC, policy: bool = True, audit: float = 0.0, **how: Any
    ) -> Laboratory:
        if critical:
            _mark_critical(monkeypatch)
        tier = Tier({POLICY: calibration()}, audit=audit) if policy else None
        settings = Settings(state=tmp_path, advisors=AdvisorSettings(**{"providers": PROVIDERS, **how}))
        made.append(Laboratory(tmp_path, settings, spec, tier))
        return made[-1]

    yield build
    for one in made:
        one.close()


def _mark_critical(monkeypatch: pytest.MonkeyPatch) -> None:
    effects, events = FURNACE.effects, FURNACE.events
    furnace = DecisionPoint(FURNACE.schema, events, effects, greets=True, critical=True)
    monkeypatch.setattr(laboratory, "FURNACE", furnace)
    monkeypatch.setattr(Lab, "points", (furnace, *Lab.points[1:]))


def score(lab: Laboratory, *shares: float, draw: float = 1.0) -> Reply:
    """The policy gives the candidates of the one consultation these probabilities."""
    ((decision, consult),) = lab.federation.consults().items()
    heard = Heard(consult.offered, Said(POLICY, "embedded", tuple(map(math.log, shares))), draw)
    return lab.federation.hear({decision: heard})[decision]


def asked(lab: Laboratory) -> Question:
    (question,) = lab.federation.questions().values()
    return question


def says(choice: int | None, confidence: float = 0.9, words: str = "it fits") -> Advice:
    return Advice("openai", "stub", choice, confidence, words, "", "b" * 64, Spent(1, 2000, 1500, 100, 0.01), 2.5)


def advised(lab: Laboratory, decision: str) -> Advised:
    *_, record = [r for r in lab.store.decision(decision) if r.header.kind == Kind.ADVISED]
    found = decode(Kind.ADVISED, record.body)
    assert isinstance(found, Advised)
    return found


def test_what_the_policy_is_not_sure_of_an_advisor_answers_with_its_words_and_cost_on_record(make: Make) -> None:
    lab = make()
    first = lab.measured(80)
    waiting = score(lab, *UNSURE)
    assert (waiting.status, waiting.tier) == ("waiting", "advisor")
    question = asked(lab)
    assert (question.decision, question.subject, question.scored is not None) == (first.id, "f1", True)
    assert question.spec == SPEC
    reply = lab.federation.advise(question, says(VENT, words="calm outside"))
    assert reply is not None
    assert (reply.status, reply.tier, reply.action, reply.clause) == ("answered", "advisor", "vent", "warm")
    assert lab.kinds(first.id)[:4] == ["asked", "scored", "advised", "answered"]
    found = advised(lab, first.id)
    assert (found.tier, found.model, found.choice, found.words) == ("advisor", "stub", VENT, "calm outside")
    assert (found.calls, found.input_tokens, found.cached_tokens, found.output_tokens) == (1, 2000, 1500, 100)
    assert (found.cost, found.seconds, found.brief) == (0.01, 2.5, "b" * 64)
    assert not lab.cases
    assert lab.federation.questions() == {}


def test_what_the_policy_is_sure_of_no_advisor_is_asked(make: Make) -> None:
    lab = make()
    lab.measured(80)
    assert score(lab, *SURE).tier == "policy"
    assert lab.federation.questions() == {}


def test_without_a_policy_for_the_point_the_advisor_is_asked_at_once(make: Make) -> None:
    lab = make(policy=False)
    assert lab.measured(80).tier == "advisor"
    assert asked(lab).scored is None


def test_without_a_provider_the_tier_is_skipped_and_that_is_said(make: Make) -> None:
    lab = make(providers=())
    lab.measured(80)
    reply = score(lab, *UNSURE)
    assert reply.tier == "operator"
    assert "there is no advisor for this point" in reply.reason


def test_a_point_that_the_settings_do_not_name_is_not_asked_about(make: Make) -> None:
    lab = make(points=("lab.request",))
    lab.measured(80)
    assert score(lab, *UNSURE).tier == "operator"


NO_ANSWER = {
    "asks for a person": (says(None, words="the gauges disagree"), "stub asks for a person"),
    "is not sure enough": (says(VENT, 0.5), "is 50 % sure, and an advisor decides from 70 % on"),
    "does not answer": (Advice(problem="stub: HTTP 500"), "no advisor answered: stub: HTTP 500"),
}


@pytest.mark.parametrize("how", NO_ANSWER)
def test_where_an_advisor_does_not_decide_a_person_does_and_sees_why(make: Make, how: str) -> None:
    advice, reason = NO_ANSWER[how]
    lab = make()
    first = lab.measured(80)
    score(lab, *UNSURE)
    reply = lab.federation.advise(asked(lab), advice)
    assert reply is not None
    assert (reply.status, reply.tier) == ("waiting", "operator")
    assert reason in reply.reason
    (case,) = lab.cases
    assert (case.tier, case.reason) == ("operator", reply.reason)
    assert lab.federation.answer("lab", first.id, "hold").tier == "operator"


def test_a_person_may_answer_first_and_the_late_word_is_recorded_and_changes_nothing(make: Make) -> None:
    lab = make()
    first = lab.measured(80)
    score(lab, *UNSURE)
    question = asked(lab)
    assert lab.federation.answer("lab", first.id, "hold").tier == "operator"
    assert lab.federation.advise(question, says(COOL)) is None
    assert (advised(lab, first.id).tier, advised(lab, first.id).choice) == ("late", COOL)
    assert lab.kinds(first.id).count("answered") == 1
    assert lab.federation.settle() is None
    assert replay(lab.store, points_of([Lab])).identical


def test_a_time_out_answers_while_the_advisor_thinks_and_its_word_comes_too_late(make: Make) -> None:
    lab = make()
    first = lab.measured(80)
    score(lab, *UNSURE)
    question = asked(lab)
    lab.clock.advance(61)
    lab.federation.tick()
    assert lab.federation.advise(question, says(COOL)) is None
    assert advised(lab, first.id).tier == "late"
    assert not lab.recorder.done


def test_an_answer_is_checked_against_the_guards_of_now_and_asked_again(make: Make) -> None:
    lab = make()
    first = lab.measured(80)
    score(lab, *UNSURE)
    question = asked(lab)
    lab.lab.wind = 30.0
    reply = lab.federation.advise(question, says(VENT))
    assert reply is not None
    assert (reply.status, reply.tier) == ("waiting", "policy")
    assert "calm_only forbids it now" in reply.reason
    late = lab.federation.advise(question, says(COOL))
    assert (late, advised(lab, first.id).attempt) == (None, 0)
    score(lab, 0.5, 0.5)
    again = asked(lab)
    assert again.asked.attempt == 1
    reply = lab.federation.advise(again, says(COOL))
    assert reply is not None
    assert (reply.action, reply.tier) == ("cool", "advisor")
    assert replay(lab.store, points_of([Lab])).identical


@pytest.mark.parametrize(
    ("fallback", "critical", "tier"),
    [
        ("request_claude_supervision", False, "advisor"),
        ("request_claude_supervision", True, "operator"),
        ("request_operator", False, "operator"),
        ("cool", False, "fallback"),
    ],
)
def test_where_no_engine_answers_the_spec_says_who_does(make: Make, fallback: str, critical: bool, tier: str) -> None:
    lab = make(spec=SPEC.replace("fallback: request_operator", f"fallback: {fallback}", 1), critical=critical)
    lab.measured(80)
    ((decision, consult),) = lab.federation.consults().items()
    reply = lab.federation.hear({decision: Heard(consult.offered, None, problem="no answer within 1 s")})[decision]
    assert reply.tier == tier


@pytest.mark.parametrize(
    ("fallback", "tier"), [("request_claude_supervision", "advisor"), ("request_operator", "operator")]
)
def test_what_no_rule_decides_goes_to_the_tier_that_the_spec_names(make: Make, fallback: str, tier: str) -> None:
    spec = SPEC.replace("fallback: request_operator", f"fallback: {fallback}", 1).replace("- otherwise: hold", "", 1)
    lab = make(spec=spec)
    assert lab.measured(10).tier == tier


# -- critical points and checks -------------------------------------------------------------------------------------


def test_at_a_critical_point_policy_and_advisor_have_to_agree(make: Make) -> None:
    lab = make(critical=True)
    first = lab.measured(80)
    waiting = score(lab, *SURE)
    assert (waiting.tier, "an advisor has to agree" in waiting.reason) == ("advisor", True)
    reply = lab.federation.advise(asked(lab), says(VENT))
    assert reply is not None
    assert (reply.tier, reply.action) == ("advisor", "vent")
    assert advised(lab, first.id).reason == "the policy and stub agree"


def test_at_a_critical_point_a_person_decides_where_they_differ(make: Make) -> None:
    lab = make(critical=True)
    lab.measured(80)
    score(lab, *SURE)
    reply = lab.federation.advise(asked(lab), says(COOL))
    assert reply is not None
    assert (reply.status, reply.tier) == ("waiting", "operator")
    assert "do not agree" in reply.reason


def test_at_a_critical_point_a_person_decides_where_the_policy_is_not_sure_or_not_there(make: Make) -> None:
    lab = make(critical=True)
    lab.measured(80)
    assert score(lab, *UNSURE).tier == "operator"
    assert lab.federation.questions() == {}


def test_at_a_critical_point_an_advisor_alone_is_not_asked(make: Make) -> None:
    assert make(critical=True, policy=False).measured(80).tier == "operator"


def test_at_a_critical_point_without_an_advisor_the_policy_alone_does_not_decide(make: Make) -> None:
    lab = make(critical=True, providers=())
    first = lab.measured(80)
    assert score(lab, *SURE).tier == "operator"
    (record,) = [r for r in lab.store.decision(first.id) if r.header.kind == Kind.SCORED]
    assert msgspec.json.decode(record.body, type=Scored).propensities == []


@pytest.mark.parametrize(("choice", "tier"), [(VENT, "advisor"), (COOL, "operator")])
def test_an_answer_that_is_drawn_for_a_check_needs_an_advisor_that_agrees(make: Make, choice: int, tier: str) -> None:
    lab = make(audit=1.0)
    lab.measured(80)
    assert score(lab, *SURE, draw=0.5).tier == "advisor"
    reply = lab.federation.advise(asked(lab), says(choice))
    assert reply is not None
    assert reply.tier == tier
    checks = lab.federation.desks["lab"].state.counsel.checks
    assert bool(checks) == (tier == "advisor")


# -- restarts and replay --------------------------------------------------------------------------------------------


def test_a_restart_asks_the_advisor_again_about_what_waits(make: Make) -> None:
    lab = make()
    first = lab.measured(80)
    score(lab, *UNSURE)
    before = asked(lab)
    lab.close()
    again = make()
    desk = again.federation.desks["lab"]
    for record in again.store.decision(first.id):
        desk.absorb(record)
    assert asked(again) == before
    reply = again.federation.advise(asked(again), says(VENT))
    assert reply is not None
    assert reply.action == "vent"


def test_a_snapshot_keeps_what_waits_for_an_advisor_with_the_policys_word(make: Make) -> None:
    lab = make()
    lab.measured(80)
    score(lab, *UNSURE)
    before = asked(lab)
    desk = lab.federation.desks["lab"]
    desk.restore(desk.snapshot())
    assert asked(lab) == before


def test_replay_takes_the_advisors_word_as_recorded_and_finds_a_changed_one(make: Make) -> None:
    lab = make()
    first = lab.measured(80)
    score(lab, *UNSURE)
    lab.federation.advise(asked(lab), says(VENT))
    assert replay(lab.store, points_of([Lab])).identical
    (record,) = [r for r in lab.store.decision(first.id) if r.header.kind == Kind.ADVISED]
    forged = json.loads(record.body) | {"choice": COOL}
    with lab.store.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE records SET body = ? WHERE seq = ?", (json.dumps(forged).encode(), record.header.seq)
        )
    assert [d.decision for d in replay(lab.store, points_of([Lab])).differences] == [first.id]
