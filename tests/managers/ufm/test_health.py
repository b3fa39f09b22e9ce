"""Which nodes are looked at when, and which are in sight."""

from itertools import pairwise

from federation.clock import SECOND
from managers.ufm.health import ROUNDS, SIGHT, Healths

INTERVAL = 5 * SECOND
NODES = [f"n{number:03}" for number in range(100)]


def test_each_node_is_checked_once_in_an_interval_and_a_tenth_at_most_in_few_rounds() -> None:
    healths = Healths(5.0)
    checked: dict[str, list[int]] = {name: [] for name in NODES}
    rounds = set()
    for step in range(1200):  # a minute, in steps of 50 ms: as often as the log ticks at most
        now = step * SECOND // 20
        if step < len(NODES):  # they begin one after the other, within 5 s
            healths.hear(NODES[step], {}, now)
        for name in healths.check(list(healths.of), INTERVAL, now):
            checked[name].append(now)
            rounds.add(now)
    gaps = [after - before for times in checked.values() for before, after in pairwise(times)]
    assert INTERVAL <= min(gaps) <= max(gaps) <= INTERVAL + INTERVAL // ROUNDS
    assert len(rounds) <= 60 * ROUNDS / 5


def test_a_single_node_wakes_nobody_before_its_turn() -> None:
    healths = Healths(5.0)
    assert list(healths.check([], INTERVAL, 0)) == []
    healths.hear("n", {}, 0)
    assert list(healths.check(["n"], INTERVAL, healths.wake)) == ["n"]
    assert healths.wake == 2 * INTERVAL
    assert list(healths.check(["n"], INTERVAL, healths.wake - 1)) == []


def test_a_node_is_out_of_sight_after_three_intervals_by_the_newest_report_of_all() -> None:
    healths = Healths(5.0)
    sight = round(SIGHT * INTERVAL)
    assert healths.seen("never heard of")
    healths.hear("silent", {}, 0)
    assert healths.hear("loud", {}, sight) is False
    assert healths.seen("silent")
    healths.hear("loud", {}, sight + 1)
    assert (healths.seen("silent"), healths.seen("loud")) == (False, True)
    assert healths.hear("silent", {}, sight + 2) is True  # it is back
    healths.forget("loud")
    assert healths.seen("loud")
