"""Proofs in a process of their own, whatever becomes of it."""

import multiprocessing
import os
import signal
from collections.abc import Callable

import pytest

from managers.uim.cli.specs.bounded import Step, bounded


def never_end(seconds: float, step: Step) -> float:
    while seconds:
        step(0, 1)
    return seconds


def end(seconds: float, step: Step) -> float:
    if seconds:
        os._exit(101)
    return seconds


def be_killed(seconds: float, step: Step) -> float:
    if seconds:
        os.kill(os.getpid(), signal.SIGKILL)
    return seconds


def test_the_answer_and_how_far_it_is_come_back() -> None:
    told: list[tuple[int, int]] = []

    def work(seconds: float, step: Step) -> tuple[float, int]:
        step(1, 2)
        return seconds, os.getpid()

    seconds, process = bounded(work, 5.0, lambda done, total: told.append((done, total)))
    assert (seconds, told) == (5.0, [(1, 2)])
    assert process != os.getpid()


@pytest.mark.parametrize("work", [never_end, end, be_killed])
def test_where_there_is_no_answer_in_time_the_work_is_done_without_proofs(work: Callable[[float, Step], float]) -> None:
    assert bounded(work, 1.0, grace=0) == 0.0


def test_without_time_for_proofs_there_is_no_other_process() -> None:
    assert bounded(lambda seconds, step: os.getpid(), 0.0) == os.getpid()


def test_what_is_wrong_with_the_question_is_raised() -> None:
    def work(seconds: float, step: Step) -> None:
        raise ValueError("two points")

    with pytest.raises(ValueError, match="two points"):
        bounded(work, 1.0)


def test_an_interrupt_while_something_is_proved_ends_both() -> None:
    with pytest.raises(KeyboardInterrupt):
        bounded(never_end, 60.0, lambda done, total: os.kill(os.getpid(), signal.SIGINT))
    assert multiprocessing.active_children() == []
