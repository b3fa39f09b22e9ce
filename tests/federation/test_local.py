"""A federation in one process: what the gate learns from the log, and only from there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.desk import Desk
from federation.gate import Gate
from federation.manager import Emission, hears
from federation.records import Kind, Mode
from tests.federation.lab import SPEC, Laboratory, bundle


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Laboratory]:
    lab = Laboratory(tmp_path)
    yield lab
    lab.close()


async def test_a_gate_rebuilt_from_what_it_follows_sends_nothing_again_that_has_an_outcome(lab: Laboratory) -> None:
    lab.measured(95, "f1")
    assert await lab.federation.act() == 1
    lab.measured(95, "f2")
    gate = Gate(lab.settings)
    desk = Desk(gate, bundle(), lab.store)
    for record in lab.store.read():
        if record.header.point in desk.points or hears(gate, record.header.kind, record.header.point, record.body):
            desk.absorb(record)
    assert [wish.subject for wish in gate.state.released.values()] == ["f2"]
    assert gate.state == lab.federation.gate.state


async def test_what_its_manager_refuses_at_the_second_check_is_settled_at_the_gate(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path, spec=SPEC.replace("consult [cool, vent, hold]", "vent"))
    lab.federation.note(Emission(Kind.MODE, "", "", "", Mode("lab.furnace/vent", "approve", "ada")))
    decision = lab.measured(80).id
    (case,) = lab.cases
    lab.lab.wind = 25.0
    lab.federation.answer("gate", case.decision, "approve", by="ada")
    assert lab.kinds(decision)[-1] == Kind.OUTCOME
    assert lab.lab.state.outcomes == {"f1": "refused"}
    assert lab.federation.gate.state.waiting == {}
    assert await lab.federation.act() == 0
    lab.close()
