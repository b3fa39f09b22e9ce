"""How long the managers were away, from requests and faults that are written by hand."""

import math

import pytest

from tests.chaos.history import CERTAIN, UNKNOWN, History, Request, Struck, World
from tests.chaos.kinds import PARTS
from tests.chaos.schedule import Fault
from tests.chaos.times import Recovery, recoveries, table


def answered(*gaps: tuple[str, float, float], until: float = 60.0) -> list[Request]:
    """Every part answers each half second at once, except within its gaps (part, from, to), at whose end it answers
    what was sent meanwhile."""
    requests = list[Request]()
    for part in PARTS:
        mine = [(begin, end) for who, begin, end in gaps if who in (part, "all")]
        at = 0.0
        while at < until:
            end = next((end for begin, end in mine if begin <= at < end), at)
            result = UNKNOWN if math.isinf(end) else CERTAIN
            requests.append(Request(part, f"{part}-{at}", at, end if result == CERTAIN else at + 0.4, result))
            at += 0.5
    return requests


def struck(kind: str, target: str, began: float, ended: float | None = None) -> Struck:
    return Struck(Fault(1, kind, target, began, 0.0), began, began if ended is None else ended)


def found(requests: list[Request], *strikes: Struck) -> list[Recovery]:
    return recoveries(History(requests, list(strikes), [], World()))


def test_a_kill_lasts_until_its_part_answers_what_was_sent_later() -> None:
    (one,) = found(answered(("ufm", 10.0, 11.7)), struck("kill", "ufm", 9.9))
    assert (round(one.seconds, 2), one.alone) == (1.8, True)


def test_a_part_that_nobody_struck_does_not_count() -> None:
    (one,) = found(answered(("urm", 10.0, 20.0)), struck("kill", "ufm", 9.9))
    assert one.seconds < 0.5


def test_without_the_log_all_parts_count() -> None:
    (one,) = found(answered(("urm", 10.0, 12.0)), struck("kill", "appender", 9.9))
    assert round(one.seconds, 2) == 2.1


def test_what_never_came_back_is_infinite() -> None:
    (one,) = found(answered(("ufm", 10.0, math.inf)), struck("kill", "ufm", 9.9))
    assert math.isinf(one.seconds)
    assert not table([one])[0].met


def test_an_outage_counts_from_its_end() -> None:
    (one,) = found(answered(("all", 10.0, 16.0)), struck("pause-database", "database", 9.9, 15.0))
    assert (one.since, round(one.seconds, 2)) == (15.0, 1.0)


def test_what_takes_effect_by_and_by_is_not_overcome_before_its_end() -> None:
    (one,) = found(answered(("all", 12.0, 21.0)), struck("control-store", "host1", 9.9, 20.0))
    assert (one.since, round(one.seconds, 2)) == (9.9, 11.1)


def test_what_is_down_with_the_database_counts_from_when_that_is_back() -> None:
    outage = struck("pause-database", "database", 12.0, 18.0)
    kill, other = found(answered(("all", 11.0, 20.0)), struck("kill", "ufm", 11.4), outage)
    assert (kill.since, round(kill.seconds, 2), kill.back) == (18.0, 2.0, 20.0)
    assert not kill.alone
    assert not other.alone


@pytest.mark.parametrize("second", ["ufm", "root", "appender"])
def test_who_is_struck_again_before_it_is_back_counts_from_then(second: str) -> None:
    first, _ = found(answered(("all", 10.0, 13.0)), struck("kill", "ufm", 9.9), struck("kill", second, 10.9))
    assert (first.since, round(first.seconds, 2), first.alone) == (10.9, 2.1, False)


@pytest.mark.parametrize("second", ["ufm", "root", "appender"])
def test_who_was_away_too_long_is_not_excused_by_a_fault_that_came_later(second: str) -> None:
    first, _ = found(answered(("all", 10.0, 33.0)), struck("kill", "ufm", 9.9), struck("kill", second, 31.9))
    assert (first.since, round(first.seconds, 2)) == (9.9, 22.0)


def test_each_part_counts_from_the_last_fault_that_struck_it() -> None:
    gaps = ("ufm", 10.0, 12.3), ("urm", 10.0, 11.0), ("ucm", 10.0, 11.0)
    first, second = found(answered(*gaps), struck("kill", "uim", 9.9), struck("kill", "ufm", 11.4))
    assert (first.since, round(first.seconds, 2), first.back) == (9.9, 1.5, 12.3)
    assert round(second.seconds, 2) == 0.9


def test_a_fault_elsewhere_takes_no_time_off() -> None:
    (first, _) = found(answered(("ufm", 10.0, 13.0)), struck("kill", "ufm", 9.9), struck("kill-node", "host2", 11.9))
    assert (first.since, round(first.seconds, 2)) == (9.9, 3.1)


def test_who_hangs_counts_from_when_it_was_stopped() -> None:
    (one,) = found(answered(("ufm", 10.0, 18.5)), struck("pause", "ufm", 9.9, 17.0))
    assert (one.since, round(one.seconds, 2)) == (9.9, 8.6)


def test_a_fault_that_is_over_and_overcome_leaves_the_next_one_alone() -> None:
    gaps = ("ufm", 10.0, 11.0), ("urm", 20.0, 21.0)
    first, second = found(answered(*gaps), struck("kill", "ufm", 9.9), struck("kill", "urm", 19.9))
    assert (first.alone, second.alone) == (True, True)


def test_who_is_not_there_counts_nowhere() -> None:
    assert found(answered(), Struck(Fault(1, "kill", "ufm", 1.0, 0.0), 1.0, 1.0, missed="it was not there")) == []


def test_a_line_holds_its_bound_only_if_every_fault_does() -> None:
    gaps = ("ufm", 10.0, 11.0), ("ufm", 20.0, 24.0), ("ufm", 40.0, 41.0)
    (line,) = table(found(answered(*gaps), *(struck("kill", "ufm", at) for at in (9.9, 19.9, 39.9))))
    assert (line.struck, line.within, line.met) == (3, 2, False)
    assert (round(line.median, 2), round(line.p99, 2), round(line.worst, 2)) == (1.1, 4.1, 4.1)
