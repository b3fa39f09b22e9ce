"""The desk: every event becomes a decision, once, and what waits is answered."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from federation.errors import Refused
from federation.records import Event
from federation.replies import Rejected
from tests.federation.lab import Laboratory


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Laboratory]:
    laboratory = Laboratory(tmp_path)
    yield laboratory
    laboratory.close()


def test_a_rule_answers_in_the_same_commit(lab: Laboratory) -> None:
    reply = lab.measured("95%")
    assert (reply.status, reply.action, reply.args, reply.tier, reply.clause) == (
        "answered",
        "cool",
        {"by": "gently"},
        "rule",
        "too_hot",
    )
    asked, answered = lab.store.decision(reply.id)[:2]
    assert (asked.header.kind, answered.header.kind) == ("asked", "answered")
    assert asked.header.seq + 1 == answered.header.seq


def test_a_rule_fires_on_its_rising_edge_and_not_again_while_it_is_in_force(lab: Laboratory) -> None:
    assert lab.measured(95).action == "cool"
    again = lab.measured(96)
    assert (again.action, again.clause) == ("hold", "too_hot")
    assert "in force" in again.reason
    assert lab.measured(10).action == "hold"
    assert lab.measured(95).action == "cool"


def test_each_subject_has_its_own_edges(lab: Laboratory) -> None:
    assert lab.measured(95, "f1").action == "cool"
    assert lab.measured(95, "f2").action == "cool"


def test_the_same_event_again_gets_the_first_answer_and_no_second_record(lab: Laboratory) -> None:
    first = lab.measured(95, id="same")
    size = lab.federation.appender.head.size
    again = lab.measured(95, id="same")
    assert (again.id, again.action, again.duplicate) == (first.id, "cool", True)
    assert lab.federation.appender.head.size == size


def test_a_repeat_is_recognised_from_the_ledger_when_memory_has_forgotten_it(lab: Laboratory) -> None:
    first = lab.measured(95, id="same")
    lab.federation.desks["lab"].recent.clear()
    again = lab.measured(95, id="same")
    assert (again.id, again.action, again.duplicate) == (first.id, "cool", True)


def test_the_same_id_with_another_body_is_a_conflict(lab: Laboratory) -> None:
    lab.measured(95, id="same")
    other = lab.measured(12, id="same")
    assert isinstance(other, Rejected)
    assert other.status == 409


@pytest.mark.parametrize("heat", ["95", "hot", "12 furlongs", [1], True, "9" * 400])
def test_a_fact_that_makes_no_sense_is_refused_with_a_cure_and_nothing_is_recorded(lab: Laboratory, heat: Any) -> None:
    size = lab.federation.appender.head.size
    refused = lab.measured(heat)
    assert isinstance(refused, Rejected)
    assert (refused.status, bool(refused.cure)) == (422, True)
    assert lab.federation.appender.head.size == size


def test_an_unknown_fact_name_is_refused_with_a_suggestion(lab: Laboratory) -> None:
    refused = lab.measured(50, haet=3)
    assert isinstance(refused, Rejected)
    assert "heat" in refused.message


def test_one_bad_event_does_not_cost_the_others_of_its_batch(lab: Laboratory) -> None:
    events = [Event(str(i), "t", "lab.measured", f"f{i}", None, {"heat": h}) for i, h in enumerate([95, "x", 10])]
    good, bad, also_good = lab.federation.post(events)
    assert isinstance(bad, Rejected)
    assert [r[0].action for r in (good, also_good) if not isinstance(r, Rejected)] == ["cool", "hold"]


def test_a_consult_opens_a_case_with_a_deadline(lab: Laboratory) -> None:
    reply = lab.measured(80)
    assert (reply.status, reply.clause) == ("waiting", "warm")
    assert [c.decision for c in lab.cases] == [reply.id]
    assert reply.until == lab.clock.now() + 60_000_000_000


def test_an_unknown_fact_stops_the_search_and_opens_a_case(lab: Laboratory) -> None:
    event = Event("u", "t", "lab.measured", "f1", None, {"gas": 50})
    (replies,) = lab.federation.post([event])
    assert isinstance(replies, list)
    assert replies[0].status == "waiting"


def test_an_answer_closes_the_case_and_takes_effect(lab: Laboratory) -> None:
    case = lab.measured(80)
    reply = lab.federation.answer("lab", case.id, "cool", by="ada", words="we saw smoke")
    assert (reply.action, reply.tier) == ("cool", "operator")
    assert lab.cases == []
    assert lab.kinds(case.id) == ["asked", "answered", "effect", "effect"]


def test_an_answer_that_a_guard_forbids_by_now_is_asked_again(lab: Laboratory) -> None:
    case = lab.measured(80)
    lab.lab.wind = 30.0
    reply = lab.federation.answer("lab", case.id, "vent", by="ada")
    assert reply.status == "waiting"
    assert "calm_only" in reply.reason
    assert [c.attempt for c in lab.cases] == [1]
    assert lab.kinds(case.id) == ["asked", "answered", "asked"]


def test_asking_again_is_bounded_and_ends_with_the_terminal_action(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = lab.measured(80)
    winds = itertools.cycle([30.0, 5.0])  # a gust at each answer, calm when it is asked again
    monkeypatch.setattr(type(lab.lab), "wind", property(lambda _: next(winds)))
    replies = [lab.federation.answer("lab", case.id, "vent", by="ada") for _ in range(3)]
    assert [r.status for r in replies] == ["waiting", "waiting", "answered"]
    assert replies[-1].action == "hold"
    assert lab.cases == []


def test_an_answer_that_was_not_offered_is_refused(lab: Laboratory) -> None:
    lab.lab.wind = 30.0
    case = lab.measured(80)
    with pytest.raises(Refused, match="not offered"):
        lab.federation.answer("lab", case.id, "explode")
    assert [c.decision for c in lab.cases] == [case.id]


def test_a_case_that_nobody_answers_times_out_to_the_terminal_action_and_never_acts(lab: Laboratory) -> None:
    case = lab.measured(80)
    lab.clock.advance(59)
    lab.federation.tick()
    assert lab.cases != []
    lab.clock.advance(1)
    lab.federation.tick()
    assert lab.cases == []
    assert lab.kinds(case.id) == ["asked", "answered"]
    with pytest.raises(Refused, match="no open case"):
        lab.federation.answer("lab", case.id, "cool")


def test_the_first_report_is_recorded_and_then_only_what_changes_what_is_in_force(lab: Laboratory) -> None:
    def seen() -> int:
        return lab.lab.state.seen

    for heat, expected in ((10, 1), (20, 1), (95, 2), (96, 2), (97, 2), (10, 3), (11, 3)):
        lab.clock.advance(5)
        lab.federation.report("lab", [{"furnace": "f1", "heat": heat}])
        assert seen() == expected, heat


def test_a_desk_rebuilt_from_snapshot_and_records_continues_as_if_nothing_had_happened(lab: Laboratory) -> None:
    from federation.desk import Desk
    from tests.federation.lab import Lab, bundle

    lab.measured(95, "f1")
    desk = lab.federation.desks["lab"]
    snapshot, at = desk.snapshot(), lab.federation.appender.head.size
    case = lab.measured(80, "f2")
    anew = Desk(Lab(lab.settings), bundle(), lab.store)
    anew.restore(snapshot)
    for record in lab.store.read(after=at, writers=["lab"]):
        anew.absorb(record)
    assert anew.snapshot() == desk.snapshot()
    assert list(anew.state.cases) == [case.id]


def test_what_a_guard_forbade_when_it_was_asked_cannot_be_chosen_later(lab: Laboratory) -> None:
    lab.lab.wind = 30.0
    case = lab.measured(80)
    lab.lab.wind = 5.0
    with pytest.raises(Refused, match="not offered"):
        lab.federation.answer("lab", case.id, "vent")


def test_the_first_word_on_what_came_of_a_decision_stays_though_it_is_not_on_record_yet(lab: Laboratory) -> None:
    desk, held = lab.federation.desks["lab"], lab.measured(10).id
    first, entries = desk.report_outcomes([(held, 0.7, "calm")], "ada")
    again, repeated = desk.report_outcomes([(held, 0.7, "calm"), (held, 0.2, "it glowed")], "bob")
    assert (first, len(entries), again[0], repeated) == ([None], 1, None, [])
    assert again[1] is not None
    assert again[1].code == "said-before"


def test_what_came_of_a_decision_with_an_effect_is_for_its_executor_to_say(lab: Laboratory) -> None:
    (refused,) = lab.federation.report_outcomes("lab", [(lab.measured(95).id, 1.0, "")], "ada")
    assert refused is not None
    assert refused.code == "has-effect"
