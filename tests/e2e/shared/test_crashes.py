"""kill -9 of any part while events flow: every acknowledged event has one decision, and everything comes back."""

import http.client
import os
import signal
import threading
from typing import Any

import psutil
import pytest

from benchmarks.running import Running
from federation.ledger.store import Store
from federation.ledger.verify import verify
from federation.records import Kind
from tests.e2e.test_up import sample
from tests.e2e.waiting import until


class Flow(threading.Thread):
    """Posts events one after the other and notes what was acknowledged; an unanswered one is sent again."""

    def __init__(self, elias: Running, tag: str) -> None:
        super().__init__(daemon=True)
        self.elias, self.tag = elias, tag
        self.acknowledged: dict[str, str] = {}
        self.stopping = False

    def run(self) -> None:
        connection = self.elias.connect()
        at = 0
        while not self.stopping:
            event = sample(f"{self.tag}-{at}", f"{self.tag}-{at % 7}")
            try:
                status, answer = self.elias.request("POST", "/v1/events", event, connection)
            except (OSError, http.client.HTTPException, ValueError):
                connection.close()
                connection = self.elias.connect()
                continue
            if status in (200, 202):
                self.acknowledged[event["id"]] = answer["decisions"][0]["id"]
                at += 1
            else:
                assert status == 503, answer
        connection.close()

    def finish(self, more: int = 20) -> dict[str, str]:
        """Stops once `more` further events were acknowledged."""
        goal = len(self.acknowledged) + more
        until(lambda: len(self.acknowledged) >= goal)
        self.stopping = True
        self.join()
        return self.acknowledged


def pid_of(elias: Running, name: str) -> int:
    def pid() -> int:
        _, answer = elias.get("/v1/managers")
        members = answer["members"] if isinstance(answer, dict) and "members" in answer else answer
        members = members["managers"] if isinstance(members, dict) else members
        return next((m["pid"] for m in members if m["name"] == name), 0)

    return until(pid)


def check(elias: Running, acknowledged: dict[str, str]) -> None:
    store = Store.open(f"sqlite:///{elias.state / 'ledger.db'}", read_only=True)
    try:
        for event, decision in acknowledged.items():
            kinds = [r.header.kind for r in store.decision(decision)]
            assert kinds[:1] == [Kind.ASKED], event
            assert kinds.count(Kind.ASKED) == 1, event
            assert kinds.count(Kind.ANSWERED) <= 1, event
        assert verify(store)
    finally:
        store.close()


@pytest.mark.parametrize("name", ["ufm", "ucm", "urm", "ulm", "uam", "uim", "gate", "appender"])
@pytest.mark.parametrize("how", [signal.SIGKILL])
def test_a_killed_part_comes_back_and_nothing_acknowledged_is_lost(elias: Running, name: str, how: int) -> None:
    flow = Flow(elias, f"kill-{name}")
    before = pid_of(elias, name)
    flow.start()
    until(lambda: len(flow.acknowledged) > 20)
    os.kill(before, how)
    until(lambda: pid_of(elias, name) not in (0, before) if name != "uim" else _answers(elias, before))
    check(elias, flow.finish())


def test_a_hung_manager_is_found_by_its_heartbeat_and_replaced(elias: Running) -> None:
    before = pid_of(elias, "urm")
    os.kill(before, signal.SIGSTOP)
    until(lambda: pid_of(elias, "urm") != before)
    flow = Flow(elias, "after-hang")
    flow.start()
    check(elias, flow.finish())


def test_the_parts_are_copies_of_one_process_and_come_back_without_it_too(own_elias: Running) -> None:
    own_elias.start()
    (server,) = {psutil.Process(pid_of(own_elias, name)).parent() for name in ("ufm", "urm", "gate", "appender")}
    assert server is not None
    assert "federation.runtime.forkserver" in server.cmdline()
    server.kill()
    before = pid_of(own_elias, "ufm")
    os.kill(before, signal.SIGKILL)
    until(lambda: pid_of(own_elias, "ufm") not in (0, before))
    flow = Flow(own_elias, "alone")
    flow.start()
    check(own_elias, flow.finish())


def test_kill_9_of_everything_in_mid_write_and_the_next_start_continues(own_elias: Running) -> None:
    own_elias.start()
    flow = Flow(own_elias, "everything")
    flow.start()
    until(lambda: len(flow.acknowledged) > 50)
    own_elias.kill()
    flow.stopping = True
    flow.join()
    before = dict(flow.acknowledged)
    own_elias.start()
    flow = Flow(own_elias, "afterwards")
    flow.start()
    check(own_elias, before | flow.finish())
    _, answer = own_elias.request("POST", "/v1/events", sample("everything-0", "everything-0"))
    assert answer["decisions"][0]["duplicate"] is True


def _answers(elias: Running, before: int) -> Any:
    try:
        return pid_of(elias, "uim") != before
    except (OSError, http.client.HTTPException):
        return False
