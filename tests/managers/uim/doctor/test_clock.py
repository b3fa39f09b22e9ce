"""The clock: kept right, set while ELIAS ran, and against that of the database."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from federation.runtime.session import MARK, Session, started
from managers.uim.doctor import clock
from managers.uim.doctor.clock import Kept
from managers.uim.doctor.ledger import beyond


@pytest.mark.parametrize(
    ("seen", "code"),
    [(Kept(True, 0.01), "clock.sound"), (Kept(False, 16.0), "clock.unsynchronised"), (None, "clock.unknown")],
)
def test_what_the_kernel_says(seen: Kept | None, code: str) -> None:
    assert clock.judge(seen).code == code


def test_the_kernel_is_asked_and_nothing_is_set() -> None:
    seen = clock.observe()
    assert seen is None or seen.error >= 0


@pytest.mark.parametrize(
    ("step", "words"), [(0.0, ""), (1.0, ""), (-1.9, ""), (3600.0, "forward by 3600 s"), (-90.0, "back by 90 s")]
)
def test_a_step_of_the_clock(step: float, words: str) -> None:
    found = list(clock.judge_step(step))
    assert [one.code for one in found] == (["clock.stepped"] if words else [])
    assert all(words in one.seen for one in found)


@pytest.fixture
def marked() -> Iterator[int]:
    """The pid of a process with the mark of a session."""
    words = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    environment = {**os.environ, MARK: "of-this-test"}
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def test_a_leader_that_seems_to_have_started_at_another_time_shows_the_step(marked: int) -> None:
    begun = started(marked)
    assert begun is not None
    session = Session("a", "", marked, begun - 600, "of-this-test", "/nowhere")
    assert clock.observe_step(session) == pytest.approx(600, abs=0.5)
    other = Session("a", "", marked, begun - 600, "of-another", "/nowhere")
    assert clock.observe_step(other) is None


@pytest.mark.parametrize(("ahead", "codes"), [(0.0, []), (1.5, []), (-30.0, ["clock.skew"]), (5.0, ["clock.skew"])])
def test_the_clock_of_the_database(ahead: float, codes: list[str]) -> None:
    assert [one.code for one in clock.judge_skew(ahead, "db")] == codes


@pytest.mark.parametrize(("at", "ahead"), [(10.5, 0.0), (10.0, 0.0), (14.0, 3.0), (7.0, -3.0)])
def test_what_the_question_takes_is_no_skew(at: float, ahead: float) -> None:
    assert beyond(at, 10.0, 11.0) == ahead
