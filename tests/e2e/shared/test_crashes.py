"""kill -9 of any part while events flow: every acknowledged event has one decision, and everything comes back."""

import http.client
import os
import signal
from typing import Any

import psutil
import pytest

from benchmarks.running import Running
from tests.e2e.asking import sample
from tests.e2e.flow import Flow, check, pid_of
from tests.e2e.waiting import until


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


def test_the_parts_are_copies_of_one_process_and_come_back_without_it_too(elias: Running) -> None:
    (server,) = {psutil.Process(pid_of(elias, name)).parent() for name in ("ufm", "urm", "gate", "appender")}
    assert server is not None
    assert "federation.runtime.forkserver" in server.cmdline()
    server.kill()
    before = pid_of(elias, "ufm")
    os.kill(before, signal.SIGKILL)
    until(lambda: pid_of(elias, "ufm") not in (0, before))
    flow = Flow(elias, "alone")
    flow.start()
    check(elias, flow.finish())


def test_kill_9_of_everything_in_mid_write_and_the_next_start_continues(elias: Running) -> None:
    flow = Flow(elias, "everything")
    flow.start()
    until(lambda: len(flow.acknowledged) > 50)
    elias.kill()
    flow.stopping = True
    flow.join()
    before = dict(flow.acknowledged)
    elias.start()
    flow = Flow(elias, "afterwards")
    flow.start()
    check(elias, before | flow.finish())
    _, answer = elias.request("POST", "/v1/events", sample("everything-0", "everything-0"))
    assert answer["decisions"][0]["duplicate"] is True


def _answers(elias: Running, before: int) -> Any:
    try:
        return pid_of(elias, "uim") != before
    except (OSError, http.client.HTTPException):
        return False
