"""Processes: those of now, and those that a dead session left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from federation.runtime.cluster import STATE
from federation.runtime.session import MARK, Session
from federation.settings import Settings
from managers.uim.doctor import here as standing
from managers.uim.doctor import processes
from managers.uim.doctor.processes import Process

RAYLET, GCS = Process(7, "raylet", "now"), Process(8, "gcs_server", "now")
OLD = Process(9, "ray::Gate", "before")


@pytest.mark.parametrize(
    ("mine", "mark", "keeper", "codes"),
    [
        ([], "", None, ["processes.none"]),
        ([RAYLET, GCS], "now", 6, ["processes.run"]),
        ([], "", 6, ["processes.run"]),  # a node that waits for its head
        ([RAYLET, GCS], "now", None, ["processes.orphaned"]),
        ([OLD], "", None, ["processes.left"]),
        ([OLD, RAYLET], "now", 6, ["processes.left", "processes.run"]),
    ],
)
def test_what_is_seen_of_processes(mine: list[Process], mark: str, keeper: int | None, codes: list[str]) -> None:
    assert [one.code for one in processes.judge(mine, mark, keeper, "head")] == codes


def test_a_process_of_a_session_that_is_gone_is_found(tmp_path: Path) -> None:
    here = standing.observe(Settings(state=tmp_path))
    assert [one.code for one in processes.check(here)] == ["processes.none"]
    words = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    environment = {**os.environ, MARK: "before", STATE: str(tmp_path.resolve())}
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as left:
        assert left.stdout is not None
        left.stdout.readline()
        (found,) = processes.check(here)
        left.kill()
    assert (found.code, f"(pid {left.pid})" in found.seen) == ("processes.left", True)


@pytest.mark.parametrize(
    ("session", "serves", "command", "role"),
    [
        (None, False, "", "head"),
        (None, False, "join", "node"),  # it waits for its head
        (Session("a", "", 1, 1.0, "m", "t"), True, "up", "head"),
        (Session("a", "", 1, 1.0, "m", "t", head=False), True, "join", "node"),
        (Session("a", "", 1, 1.0, "m", "t", head=False), True, "", "node"),
        (Session("a", "", 1, 1.0, "m", "t", head=False), True, "up", "standby"),
        (Session("a", "", 1, 1.0, "m", "t", head=False), False, "", "head"),
    ],
)
def test_the_role_of_a_machine(session: Session | None, serves: bool, command: str, role: str) -> None:
    assert standing.role(session, serves, command) == role


def test_a_state_folder_in_which_nothing_ran_is_a_head_that_is_down(tmp_path: Path) -> None:
    here = standing.observe(Settings(state=tmp_path))
    assert (here.role, here.runs, here.pids()) == ("head", False, frozenset())
