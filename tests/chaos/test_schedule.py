"""The schedule is the same for the same seed, and strikes nobody who has not recovered."""

from itertools import pairwise
from pathlib import Path

import pytest

from tests.chaos.__main__ import chosen
from tests.chaos.kinds import KINDS, Kind
from tests.chaos.schedule import draw
from tests.chaos.strikes import STRIKES

SEEDS = range(20)


def test_a_seed_is_a_schedule() -> None:
    assert draw(1, 200) == draw(1, 200)
    assert draw(1, 200) != draw(2, 200)


def test_every_kind_can_be_struck_and_is() -> None:
    assert STRIKES.keys() == KINDS.keys()
    for seed in SEEDS:
        assert {fault.kind for fault in draw(seed, 60)} == KINDS.keys()


def test_the_shares_are_kept_whatever_the_seed() -> None:
    counted = [sorted(fault.kind for fault in draw(seed, 300)) for seed in SEEDS]
    assert all(one == other for one, other in pairwise(counted))
    assert len(counted[0]) == 300


def test_faults_overlap_and_come_in_order() -> None:
    faults = draw(1, 1000)
    assert all(one.start <= other.start for one, other in pairwise(faults))
    assert [fault.number for fault in faults] == list(range(1, 1001))
    assert sum(one.start + one.lasts > other.start for one, other in pairwise(faults)) > 100
    assert faults[-1].start < 80 * 60


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_is_struck_before_it_has_rested(seed: int) -> None:
    until = dict[str, float]()
    for fault in draw(seed, 300):
        kind = KINDS[fault.kind]
        assert until.get(kind.keeps(fault.target), 0.0) <= fault.start + 0.01
        until[kind.keeps(fault.target)] = fault.start + fault.lasts + kind.rest


def test_a_part_of_a_schedule_keeps_its_numbers_and_times() -> None:
    faults = draw(3, 100)
    assert chosen(faults, 17, 20, "") == faults[16:20]
    assert chosen(faults, 1, None, "17,40") == [faults[16], faults[39]]
    assert {fault.kind for fault in chosen(faults, 1, None, "kill-node")} == {"kill-node"}


def test_a_fault_says_what_it_does() -> None:
    words = [str(fault) for fault in draw(1, 1000)]
    assert not any("{" in line for line in words)
    assert any("kill -9 of gate" in line for line in words)


def test_the_page_lists_every_kind() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operate" / "chaos.md").read_text()
    listed = page.partition("<!-- kinds: begin -->\n")[2].partition("<!-- kinds: end -->")[0].splitlines()[2:]
    whole = sum(kind.share for kind in KINDS.values())
    assert listed == [
        f"| `{name}` | {_words(kind)} | {kind.share / whole:.1%} | {_seconds(kind)} |" for name, kind in KINDS.items()
    ]


def _words(kind: Kind) -> str:
    target = kind.targets[0] if len(kind.targets) == 1 else "the target"
    return kind.words.format(target=target, size=kind.size).replace("+", "up to ±")


def _seconds(kind: Kind) -> str:
    least, most = kind.lasts
    return f"{least:g} to {most:g}" if most else "at once"
