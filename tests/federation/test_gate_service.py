"""The gate's process sends to an executor what is released on record, and records each outcome once."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from federation.gate import Gate, Wish
from federation.records import Effect, Entry, Kind, Outcome, encode
from federation.runtime.gate import GateService
from federation.runtime.manager import ManagerService
from federation.settings import Settings
from managers.uim.launch import ROSTER

WISH = Wish("lab.furnace", "north", "d1", Effect("released", "cool", {}, "furnace.cool", "node", "act", 60.0))


class Desk(SimpleNamespace):
    """A desk that settles a wish when it takes its outcome."""

    def take(self, entry: Entry) -> None:
        del self.manager.state.released[entry.decision]

    def settle(self, now: int) -> list[Entry]:
        return []


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GateService:
    """With a release in its state, and what it would send in `sent`, what it would commit in `written`."""
    settings = Settings(state=tmp_path)
    service: Any = GateService("gate", settings, ROSTER)
    service.desk = Desk(manager=Gate(settings))
    service.desk.manager.state.released["d1"] = WISH
    service.sent, service.written = [], []

    async def commit(self: Any, entries: list[Entry]) -> None:
        """As if the ledger had taken them."""

    async def do(work: Any) -> None:
        service.written += work(0)[0]

    async def outcome(wish: Wish) -> Outcome:
        return Outcome("done")

    monkeypatch.setattr(ManagerService, "commit", commit)
    service.do, service._outcome = do, outcome
    service._dispatch, service.dispatch = lambda wish: wish, service._dispatch
    service.spawn = service.sent.append
    return service


def step(verdict: str) -> Entry:
    body = Effect(verdict, "cool", {}, "furnace.cool", "node", "act", 60.0)
    return Entry(Kind.EFFECT, "lab.furnace", "north", "d1", encode(body))


async def test_a_release_is_sent_once_it_is_on_record(gate: Any) -> None:
    gate.committed()
    assert gate.sent == []
    await gate.commit([step("wanted")])
    gate.committed()
    assert gate.sent == []
    await gate.commit([step("released")])
    gate.committed()
    gate.committed()
    assert gate.sent == [WISH]


async def test_an_outcome_that_is_on_record_is_not_recorded_again(gate: Any) -> None:
    await gate.dispatch(WISH)
    await gate.dispatch(WISH)
    assert [entry.kind for entry in gate.written] == [Kind.OUTCOME]


def test_a_state_from_the_ledger_is_on_record(gate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ManagerService, "_rebuild", lambda self, bundle: None)
    gate._rebuild(None)
    gate.committed()
    assert gate.sent == [WISH]
