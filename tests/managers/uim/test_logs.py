"""The output of a job as it is shown: without what Ray puts before and between it, however it is cut into parts."""

import pytest

from managers.uim.logs import Text

SETS_UP = "2026-11-21 11:14:32,334\tINFO job_manager.py:5 -- Setting up.\n"
RUNS = "Running entrypoint for job elias-a-2f6c81d0: x\n"
OUTPUTS = (
    "hello\n",
    "42 is no date\n",
    "grüezi, ohne Ende",
    "",
    "Run\nRunning entrypoint for job elias-b-2f6c81d0: x\n",
    "Running entrypoint",
)


def shown(raw: bytes, size: int) -> str:
    text = Text("a")
    parts = [raw[at : at + size] for at in range(0, len(raw), size)]
    return "".join(text.take(part) for part in (*parts, b""))


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_ray_says_about_a_job_is_left_out(output: str, size: int) -> None:
    for before in (SETS_UP + RUNS, SETS_UP, RUNS, ""):
        assert shown((before + output).encode(), size) == output


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_job_may_print_before_ray_has_said_that_it_runs(output: str, size: int) -> None:
    for at in range(len(output) + 1):
        assert shown((SETS_UP + output[:at] + RUNS + output[at:]).encode(), size) == output


def test_ray_says_it_once() -> None:
    assert shown((RUNS + RUNS).encode(), 1000) == RUNS


def test_a_line_without_an_end_is_shown_at_once() -> None:
    text = Text("a")
    assert text.take((SETS_UP + RUNS).encode() + b"progress .") == "progress ."
    assert text.take(b".") == "."
