"""Checks run beside one another, and what hangs or fails holds up none of the others."""

import threading

from managers.uim.doctor import checks
from managers.uim.doctor.beside import beside
from managers.uim.doctor.checks import Check
from managers.uim.doctor.finding import NOTE, Code, Finding

SEEN = Code("test.seen", NOTE, "something was seen")


def test_results_come_in_the_order_of_the_works() -> None:
    both = threading.Barrier(2)  # neither goes on before the other has begun
    assert beside([lambda: both.wait() * 0 + 1, lambda: both.wait() * 0 + 2], 60) == [1, 2]


def test_what_hangs_is_left_and_what_fails_says_why() -> None:
    never = threading.Event()
    late, error, done = beside([never.wait, lambda: bool(1 / 0), lambda: True], 0.2)
    never.set()
    assert (type(late), type(error), done) == (TimeoutError, ZeroDivisionError, True)


def test_how_far_it_is_is_told() -> None:
    told: list[tuple[int, int]] = []
    beside([lambda: 1, lambda: 2], 60, lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_a_check_that_fails_or_hangs_is_a_finding() -> None:
    never = threading.Event()

    def hangs() -> list[Finding]:
        never.wait()
        return []

    def fails() -> list[Finding]:
        raise ZeroDivisionError("of a bug")

    made = [Check("slow", hangs), Check("wrong", fails), Check("sound", lambda: [SEEN.found("it")])]
    found = checks.run(made, 0.5)
    never.set()
    assert [one.code for one in found] == ["check.late", "check.failed", "test.seen"]
    assert found[1].seen == "wrong: ZeroDivisionError: of a bug"
