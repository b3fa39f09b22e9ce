"""What a spec leaves open is answered by the policy where it is sure enough, and by a person else."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from federation.counsel import Heard
from federation.local import points_of
from federation.policy.calibration import Calibration, PointCalibration, Step
from federation.policy.tier import Said, Tier
from federation.records import Answered, Kind, Scored, decode
from federation.replay import replay
from federation.replies import Reply
from tests.federation.lab import SPEC, Lab, Laboratory

POLICY = "a" * 64


def calibration(*, threshold: float = 0.8, version: int = 1) -> Calibration:
    """The confidence is the best label's own probability; from the threshold on the policy may decide alone."""
    steps = (Step(threshold, accepted=1000, wrong=10, bound=0.05),)
    # Of log p / (1 - p) the logistic function is p: two labels' masses are log p and log(1 - p).
    point = PointCalibration(version, 1.0, (0.0, 1.0, -1.0, 0.0), steps, 1000, 1000, 1, 0.03)
    return Calibration(POLICY, "data", {"lab.furnace": point})


Make = Callable[..., Laboratory]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Laboratory] = []

    def laboratory(*, audit: float = 0.0, spec: str = SPEC, **how: float) -> Laboratory:
        tier = Tier({POLICY: calibration(**how)}, audit=audit)  # type: ignore[arg-type]
        made.append(Laboratory(tmp_path, spec=spec, tier=tier))
        return made[-1]

    yield laboratory
    for one in made:
        one.close()


def say(lab: Laboratory, *shares: float, policy: str = POLICY, draw: float = 1.0) -> Reply:
    """The policy gives the candidates of the one consultation these probabilities."""
    ((decision, consult),) = lab.federation.consults().items()
    scores = tuple(math.log(share) for share in shares)
    heard = Heard(consult.offered, Said(policy, "embedded", scores), draw)
    return lab.federation.hear({decision: heard})[decision]


def scored(lab: Laboratory, decision: str) -> Scored:
    (record,) = [r for r in lab.store.decision(decision) if r.header.kind == Kind.SCORED]
    found = decode(Kind.SCORED, record.body)
    assert isinstance(found, Scored)
    return found


def test_what_the_policy_is_sure_of_it_answers_with_its_numbers_on_record(make: Make) -> None:
    lab = make()
    asked = lab.measured(80)
    assert (asked.status, asked.tier) == ("waiting", "policy")
    reply = say(lab, 0.05, 0.9, 0.05)
    assert (reply.status, reply.tier, reply.action, reply.clause) == ("answered", "policy", "vent", "warm")
    assert lab.kinds(asked.id)[:3] == ["asked", "scored", "answered"]
    record = scored(lab, asked.id)
    assert (record.policy, record.tier, record.offered, record.choice) == (POLICY, "policy", [0, 1, 2], 1)
    assert [round(math.exp(log), 3) for log in record.logs] == [0.05, 0.9, 0.05]
    assert record.propensities == [0.0, 1.0, 0.0]
    assert not lab.cases


def test_what_it_is_not_sure_of_waits_for_a_person_who_sees_why(make: Make) -> None:
    lab = make()
    asked = lab.measured(80)
    reply = say(lab, 0.3, 0.4, 0.3)
    assert (reply.status, reply.tier, reply.id) == ("waiting", "operator", asked.id)
    assert "only from 80 % on" in reply.reason
    assert scored(lab, asked.id).propensities == []
    (case,) = lab.cases
    assert (case.tier, case.reason) == ("operator", reply.reason)
    answer = lab.federation.answer("lab", asked.id, "hold")
    assert (answer.tier, answer.action) == ("operator", "hold")


def test_it_chooses_among_what_guards_leave_and_nothing_else(make: Make) -> None:
    lab = make()
    lab.lab.wind = 30.0
    asked = lab.measured(80)
    (consult,) = lab.federation.consults().values()
    assert (consult.offered, consult.prompt.labels) == ([0, 2], 2)
    assert "vent" not in consult.prompt.text
    assert say(lab, 0.05, 0.95).action == "hold"
    assert scored(lab, asked.id).choice == 2


def test_where_one_action_is_left_there_is_nothing_to_ask_the_policy(make: Make) -> None:
    lab = make(spec=SPEC.replace("consult [cool, vent, hold]", "consult [vent, hold]"))
    lab.lab.wind = 30.0
    assert lab.measured(80).tier == "operator"
    assert not lab.federation.consults()


def test_an_answer_that_no_longer_holds_is_asked_again_of_the_policy(make: Make) -> None:
    lab = make()
    asked = lab.measured(80)
    ((decision, consult),) = lab.federation.consults().items()
    lab.lab.wind = 30.0
    heard = Heard(consult.offered, Said(POLICY, "embedded", tuple(map(math.log, (0.05, 0.9, 0.05)))))
    assert lab.federation.hear({decision: heard})[decision].tier == "policy"
    assert lab.kinds(asked.id) == ["asked", "scored", "answered", "asked"]
    assert say(lab, 0.9, 0.1).action == "cool"


def test_a_policy_that_was_never_calibrated_goes_up_and_its_numbers_are_shown(make: Make) -> None:
    lab = make()
    asked = lab.measured(80)
    reply = say(lab, 0.01, 0.98, 0.01, policy="b" * 64)
    assert (reply.tier, scored(lab, asked.id).choice) == ("operator", 1)
    assert "not calibrated" in reply.reason


def test_at_a_point_of_another_version_it_is_not_asked(make: Make) -> None:
    assert make(version=2).measured(80).tier == "operator"


@pytest.mark.parametrize(
    ("fallback", "tier", "action"), [("request_operator", "operator", ""), ("cool", "fallback", "cool")]
)
def test_where_no_engine_answers_the_fallback_of_the_spec_does(
    make: Make, fallback: str, tier: str, action: str
) -> None:
    lab = make(spec=SPEC.replace("fallback: request_operator", f"fallback: {fallback}", 1))
    asked = lab.measured(80)
    ((decision, consult),) = lab.federation.consults().items()
    reply = lab.federation.hear({decision: Heard(consult.offered, None, problem="no answer within 1 s")})[decision]
    assert (reply.tier, reply.action) == (tier, action)
    assert (scored(lab, asked.id).policy, scored(lab, asked.id).reason) == ("", "no answer within 1 s")


def test_the_word_of_the_policy_comes_too_late_for_what_was_answered_meanwhile(make: Make) -> None:
    lab = make()
    asked = lab.measured(80)
    ((decision, consult),) = lab.federation.consults().items()
    lab.clock.advance(61)
    lab.federation.tick()
    assert lab.kinds(asked.id)[:2] == ["asked", "answered"]
    heard = Heard(consult.offered, Said(POLICY, "embedded", tuple(map(math.log, (0.05, 0.9, 0.05)))))
    assert lab.federation.hear({decision: heard}) == {}


def test_the_spec_says_how_many_may_be_wrong(make: Make) -> None:
    lab = make(spec=SPEC.replace("- timeout: 1m\n", "- timeout: 1m\n- max_error: 1%\n"))
    asked = lab.measured(80)
    assert say(lab, 0.005, 0.99, 0.005).tier == "operator"
    assert (scored(lab, asked.id).threshold, scored(lab, asked.id).max_error) == (None, 0.01)


def test_a_restart_asks_the_policy_again_about_what_waits(make: Make, tmp_path: Path) -> None:
    lab = make()
    asked = lab.measured(80)
    before = lab.federation.consults()
    lab.close()
    again = make()
    desk = again.federation.desks["lab"]
    for record in again.store.decision(asked.id):
        desk.absorb(record)
    assert again.federation.consults() == before
    assert say(again, 0.05, 0.9, 0.05).action == "vent"


def test_a_snapshot_keeps_what_waits_and_how_checks_came_out(make: Make) -> None:
    lab = make(audit=1.0)
    lab.measured(80)
    say(lab, 0.05, 0.9, 0.05, draw=0.5)
    lab.measured(80, "f2")
    desk = lab.federation.desks["lab"]
    waiting, audited = desk.consulting, desk.state.counsel.audited
    desk.restore(desk.snapshot())
    assert (desk.consulting, desk.state.counsel.audited) == (waiting, audited)


def test_a_random_slice_is_checked_and_too_many_wrong_ones_end_the_policys_turn(make: Make) -> None:
    lab = make(audit=0.5)
    for number in range(40):
        asked = lab.measured(80, f"f{number}")
        reply = say(lab, 0.05, 0.9, 0.05, draw=0.4)
        assert reply.tier == "operator"
        if not scored(lab, asked.id).audit:
            break
        lab.federation.answer("lab", asked.id, "cool", by="gently")
    assert "answers checked were wrong" in reply.reason
    assert number < 15
    assert say_anew(lab, "other").tier == "operator"


def test_checks_that_agree_leave_the_policy_its_turn(make: Make) -> None:
    lab = make(audit=0.5)
    for number in range(30):
        asked = lab.measured(80, f"f{number}")
        say(lab, 0.9, 0.05, 0.05, draw=0.4)
        assert scored(lab, asked.id).audit
        lab.federation.answer("lab", asked.id, "cool", by="gently")
    assert say_anew(lab, "other").tier == "policy"


def say_anew(lab: Laboratory, furnace: str) -> Reply:
    lab.measured(80, furnace)
    return say(lab, 0.9, 0.05, 0.05, draw=0.9)


def test_replay_follows_from_the_scores_on_record(make: Make) -> None:
    lab = make()
    lab.measured(80)
    say(lab, 0.05, 0.9, 0.05)
    lab.measured(80, "f2")
    say(lab, 0.3, 0.4, 0.3)
    found = replay(lab.store, points_of([Lab]))
    assert (found.identical, found.decisions, found.by_others, found.waiting) == (True, 1, 1, 1)


def test_an_answer_that_does_not_follow_from_its_scores_is_named(make: Make) -> None:
    lab = make()
    asked = lab.measured(80)
    say(lab, 0.05, 0.9, 0.05)
    record = lab.store.decision(asked.id)[2]
    answered = decode(Kind.ANSWERED, record.body)
    assert isinstance(answered, Answered)
    forged = json.loads(record.body) | {"choice": 0, "action": "cool", "args": {"by": "gently"}}
    with lab.store.engine.begin() as connection:
        body = json.dumps(forged, separators=(",", ":")).encode()
        connection.exec_driver_sql("UPDATE records SET body = ? WHERE seq = ?", (body, record.header.seq))
    assert [d.seq for d in replay(lab.store, points_of([Lab])).differences] == [record.header.seq]
