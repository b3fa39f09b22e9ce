"""What waits, in which order and for how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from managers.ucm.channels.http import failure_of, retry_after
from managers.ucm.queue import DEAD_KEPT, Message, Queue, Target, backoff, first

SECOND = 1_000_000_000


def message(number: int, subject: str = "s", priority: int = 1, **more: int) -> Message:
    return Message(str(number), "t", subject, priority, accepted=number, **more)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=30))
def test_heads_come_in_order_of_priority_and_never_out_of_line(sent: list[tuple[str, int]]) -> None:
    queue = Queue()
    for number, (subject, priority) in enumerate(sent):
        queue.add(message(number, subject, priority))
    taken: list[Message] = []
    while queue.messages:
        (head,) = first(1, queue.heads("t"))
        assert head.rank == min(m.rank for m in queue.heads("t"))
        queue.remove(head)
        taken.append(head)
    assert len(taken) == len(sent)
    for subject in "abc":
        mine = [m.accepted for m in taken if m.subject == subject]
        assert mine == sorted(mine)


def test_dead_letters_are_bounded() -> None:
    queue = Queue()
    for number in range(DEAD_KEPT + 5):
        queue.add(message(number))
        queue.bury(queue.messages[str(number)], at=number)
    assert len(queue.dead) == DEAD_KEPT
    assert next(iter(queue.dead)) == "5"
    assert queue.targets["t"].depth == 0


@given(st.integers(1, 200), st.text())
def test_back_off_is_the_same_for_the_same_attempt_and_within_bounds(attempts: int, id_: str) -> None:
    one = Message(id_, "t", "s", 1, 0, attempts=attempts)
    whole = min(300.0, 2.0 ** min(attempts - 1, 60))
    assert whole / 2 <= backoff(one, 1.0, 300.0) <= whole
    assert backoff(one, 1.0, 300.0) == backoff(one, 1.0, 300.0)


def test_two_messages_do_not_come_back_at_the_same_time() -> None:
    assert len({backoff(message(n, attempts=3), 1.0, 300.0) for n in range(100)}) == 100


@pytest.mark.parametrize(
    ("failures", "streak", "in_flight", "state"),
    [
        ([], 0, 0, "closed"),
        ([100] * 4, 4, 0, "closed"),
        ([100] * 5, 5, 0, "open"),
        ([100] * 5, 0, 0, "open"),
        ([10] * 4 + [60], 5, 0, "open"),
        ([10] * 5, 5, 0, "half_open"),
        ([10] * 5, 5, 1, "open"),
        ([10] * 5, 0, 0, "closed"),
    ],
)
def test_the_breaker_counts_failures_of_the_last_minute(
    failures: list[int], streak: int, in_flight: int, state: str
) -> None:
    target = Target(failures=[at * SECOND for at in failures], streak=streak, in_flight=in_flight)
    assert target.breaker(5, 100 * SECOND) == state


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (408, "throttled"),
        (425, "throttled"),
        (429, "throttled"),
        (500, "server"),
        (599, "server"),
        (404, "rejected"),
        (302, "rejected"),
    ],
)
def test_a_status_says_whether_it_may_pass(status: int, failure: str) -> None:
    assert failure_of(status) == failure


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("30", 30.0),
        ("99999999999", 86_400.0),
        ("-1", None),
        ("soon", None),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, 60.0) == seconds
