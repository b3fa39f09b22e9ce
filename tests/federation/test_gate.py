"""The effect gate: modes, caps, windows, the brake, freeze, confirmation and what becomes of each."""

from collections.abc import Iterator
from datetime import time
from pathlib import Path
from typing import Any

import pytest

from federation.gate import freeze_entry
from federation.manager import Emission
from federation.records import Kind, Mode, decode
from federation.settings import Brake, Cap, GateSettings, Settings, Window
from tests.federation.lab import Laboratory


def laboratory(folder: Path, **gate: Any) -> Laboratory:
    return Laboratory(folder, Settings(state=folder, gate=GateSettings(**gate)))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Laboratory]:
    made = Laboratory(tmp_path)
    yield made
    made.close()


def verdicts(lab: Laboratory, decision: str) -> list[str]:
    return [decode(r.header.kind, r.body).verdict for r in lab.store.decision(decision) if r.header.kind == Kind.EFFECT]


def outcome(lab: Laboratory, decision: str) -> Any:
    (last,) = [r for r in lab.store.decision(decision) if r.header.kind == Kind.OUTCOME][-1:]
    return decode(Kind.OUTCOME, last.body)


async def test_an_action_in_mode_act_is_released_done_once_and_its_outcome_folded(lab: Laboratory) -> None:
    decision = lab.measured(95).id
    assert verdicts(lab, decision) == ["wanted", "released"]
    assert await lab.federation.act() == 1
    assert await lab.federation.act() == 0
    assert [o.action for o in lab.recorder.done] == ["cool"]
    assert lab.lab.state.outcomes == {"f1": "done"}


async def test_an_action_in_mode_observe_says_what_it_would_do_and_does_nothing(lab: Laboratory) -> None:
    case = lab.measured(80)
    reply = lab.federation.answer("lab", case.id, "vent")
    assert reply.mode == "observe"
    assert verdicts(lab, case.id) == []
    assert await lab.federation.act() == 0


async def test_a_changed_mode_takes_effect_for_the_next_decision(lab: Laboratory) -> None:
    lab.federation.note(Emission(Kind.MODE, "", "", "", Mode("lab.furnace/cool", "observe", "ada")))
    decision = lab.measured(95)
    assert decision.mode == "observe"
    assert verdicts(lab, decision.id) == []


async def test_mode_approve_waits_for_a_person_and_acts_after_a_second_check(lab: Laboratory) -> None:
    decision = lab.asked(10).id
    assert verdicts(lab, decision) == ["wanted", "approval"]
    (case,) = lab.cases
    assert await lab.federation.act() == 0
    lab.federation.answer("gate", case.decision, "approve", by="ada")
    assert verdicts(lab, decision) == ["wanted", "approval", "approved", "wanted", "released"]
    assert await lab.federation.act() == 1


@pytest.mark.parametrize("how", ["hold", "nobody"])
async def test_without_a_yes_nothing_happens(lab: Laboratory, how: str) -> None:
    decision = lab.asked(10).id
    (case,) = lab.cases
    if how == "hold":
        lab.federation.answer("gate", case.decision, "hold", by="ada")
    else:
        lab.clock.advance(3601)
        lab.federation.tick()
    assert outcome(lab, decision).status == "refused"
    assert await lab.federation.act() == 0
    assert lab.federation.gate.state.waiting == {}


async def test_an_approval_that_came_too_late_for_the_guards_of_now_is_refused(tmp_path: Path) -> None:
    lab = laboratory(tmp_path)
    lab.federation.note(Emission(Kind.MODE, "", "", "", Mode("lab.furnace/vent", "approve", "ada")))
    case = lab.measured(80)
    lab.federation.answer("lab", case.id, "vent")
    assert verdicts(lab, case.id) == ["wanted", "released"]  # an operator's own answer is the confirmation
    lab.close()


async def test_a_cap_lets_so_many_through_and_gathers_the_rest_in_one_case(tmp_path: Path) -> None:
    lab = laboratory(tmp_path, caps=(Cap(at_most=3, within=600),), brake=Brake(count=1000))
    for i in range(10):
        lab.measured(95, f"f{i}")
    assert await lab.federation.act() == 3
    (case,) = lab.cases
    assert (case.point, case.subject) == ("gate.withheld", "lab.furnace/cool")
    assert len(lab.federation.gate.state.withheld["lab.furnace/cool"]) == 7
    lab.close()


async def test_a_cap_forgets_what_is_older_than_its_window(tmp_path: Path) -> None:
    lab = laboratory(tmp_path, caps=(Cap(at_most=1, within=600),))
    lab.measured(95, "f1")
    lab.measured(95, "f2")
    lab.clock.advance(601)
    lab.measured(95, "f3")
    assert await lab.federation.act() == 2
    lab.close()


async def test_a_cap_per_node_counts_each_node_alone(tmp_path: Path) -> None:
    lab = laboratory(tmp_path, caps=(Cap(per="node", at_most=1, within=600),))
    for furnace in ("f1", "f1", "f2"):
        lab.measured(95, furnace)
        lab.measured(10, furnace)
    assert await lab.federation.act() == 2
    lab.close()


async def test_the_brake_takes_many_subjects_at_once_for_one_failure(tmp_path: Path) -> None:
    lab = laboratory(tmp_path, caps=(), brake=Brake(count=5, within=60))
    for i in range(40):
        lab.measured(95, f"f{i}")
    assert await lab.federation.act() == 5
    assert len(lab.cases) == 1
    lab.close()


@pytest.mark.parametrize(("choice", "acts"), [("release", 7), ("hold", 0)])
async def test_a_person_releases_or_discards_all_that_was_withheld(tmp_path: Path, choice: str, acts: int) -> None:
    lab = laboratory(tmp_path, caps=(Cap(at_most=3, within=600),))
    decisions = [lab.measured(95, f"f{i}").id for i in range(10)]
    await lab.federation.act()
    (case,) = lab.cases
    lab.federation.answer("gate", case.decision, choice, by="ada")
    assert await lab.federation.act() == acts
    assert lab.cases == []
    expected = "done" if choice == "release" else "refused"
    assert {outcome(lab, d).status for d in decisions[3:]} == {expected}
    lab.close()


async def test_a_new_storm_after_the_case_was_answered_is_a_new_case(tmp_path: Path) -> None:
    lab = laboratory(tmp_path, caps=(Cap(at_most=0, within=600),))
    lab.measured(95, "f1")
    (first,) = lab.cases
    lab.federation.answer("gate", first.decision, "hold", by="ada")
    lab.measured(95, "f2")
    (second,) = lab.cases
    assert second.decision != first.decision
    lab.close()


@pytest.mark.parametrize(("opens", "closes", "acts"), [(time(0), time(23, 59, 59), 1), (time(3), time(4), 0)])
async def test_outside_its_change_windows_an_action_waits_for_a_person(
    tmp_path: Path, opens: time, closes: time, acts: int
) -> None:
    window = Window(action="lab.furnace/cool", opens=opens, closes=closes)
    lab = laboratory(tmp_path, windows=(window,))
    lab.measured(95)
    assert await lab.federation.act() == acts
    assert len(lab.cases) == 1 - acts
    lab.close()


async def test_a_freeze_withholds_everything_even_what_was_confirmed(lab: Laboratory) -> None:
    lab.federation.note(freeze_entry(True, "ada", "maintenance"))
    case = lab.measured(80)
    lab.federation.answer("lab", case.id, "cool", by="ada")
    assert verdicts(lab, case.id) == ["wanted", "withheld"]
    assert await lab.federation.act() == 0


async def test_a_gate_rebuilt_from_the_ledger_stands_where_the_old_one_stood(lab: Laboratory) -> None:
    from federation.desk import Desk
    from federation.gate import Gate
    from tests.federation.lab import bundle

    lab.asked(10)
    lab.measured(95, "f1")
    lab.measured(80, "f2")
    await lab.federation.act()
    lab.asked(10, "e2")
    old = lab.federation.desks["gate"]
    anew = Desk(Gate(lab.settings), bundle(), lab.store)
    for record in lab.store.read():
        anew.absorb(record)
    assert anew.settle(lab.clock.now()) == []
    assert anew.snapshot() == old.snapshot()
