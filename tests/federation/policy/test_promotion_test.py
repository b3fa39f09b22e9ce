"""The test of a canary: rarely wrong however often one looks, soon right, and fed by what was drawn by lot."""

from itertools import pairwise
from math import exp
from random import Random

import msgspec
import pytest

from benchmarks.promotion import KINDS, equal, fixed_size, unequal
from federation.points import DecisionPoint
from federation.policy.arms import BLOCK, Canary, challenger, draw, unit_of
from federation.policy.sequential import ALPHA, Evidence, Verdict, scaled, step, verdict
from managers.roster import POINTS

POINT = {point.name: point for point in POINTS}
DUE = 60 * 10**9


def played(rewards: tuple[float, float], count: int, share: float = 0.5, seed: int = 0) -> Evidence:
    """rewards: the chance of a reward of 1, of the champion and of the challenger."""
    random, evidence = Random(seed), Evidence()
    for _ in range(count):
        taken = random.random() < share
        evidence = step(evidence, float(random.random() < rewards[taken]), taken, share)
    return evidence


@pytest.mark.parametrize("kind", KINDS)
def test_of_equal_policies_one_in_twenty_is_promoted_at_most_though_one_looks_each_time(kind: str) -> None:
    """More than 12 of 100 would be promoted once in 1,000 tests, were the rate 5 %."""
    assert equal(kind, (0.05, 0.5), runs=100, most=500).promoted <= 12


@pytest.mark.parametrize("effect", [0.2, -0.2])
def test_a_policy_that_is_a_fifth_better_or_worse_is_told_about_as_soon_as_by_a_test_of_fixed_size(
    effect: float,
) -> None:
    found = unequal("binary", effect, runs=20, most=4 * fixed_size("binary", effect))
    assert found.median is not None
    assert found.median < 2 * found.fixed
    assert found.right >= 0.9


def test_a_challenger_that_is_better_is_promoted_and_one_that_is_worse_rolled_back() -> None:
    assert verdict(played((0.4, 0.6), 2000)) is Verdict.PROMOTE
    assert verdict(played((0.6, 0.4), 2000)) is Verdict.ROLL_BACK
    assert verdict(Evidence()) is Verdict.GO_ON


def test_a_stricter_promise_asks_for_more() -> None:
    evidence, looked = Evidence(), []
    random = Random(1)
    for at in range(3000):
        taken = random.random() < 0.5
        evidence = step(evidence, float(random.random() < (0.6 if taken else 0.4)), taken, 0.5)
        looked.append((at, verdict(evidence, 0.05), verdict(evidence, 0.001)))
    usual = next(at for at, said, _ in looked if said is Verdict.PROMOTE)
    strict = next(at for at, _, said in looked if said is Verdict.PROMOTE)
    assert usual < strict


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_the_difference_is_estimated_without_bias_at_any_share(share: float) -> None:
    found = [played((0.3, 0.5), 400, share, seed).difference() for seed in range(200)]
    assert sum(found) / len(found) == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_each_bet_is_fair_where_the_policies_are_equal(share: float) -> None:
    """Worked out over all that can come next: whatever the reward, the stakes are on average what they were."""
    before = played((0.5, 0.5), 50, share)
    for reward in (0.0, 0.3, 1.0):
        ways = ((share, step(before, reward, True, share)), (1 - share, step(before, reward, False, share)))
        for side in ("better", "worse"):
            for number, had in enumerate(getattr(before, side)):
                stake = sum(chance * exp(getattr(after, side)[number] - had) for chance, after in ways)
                assert stake == pytest.approx(1.0)


def test_no_reward_within_its_bounds_loses_a_whole_stake() -> None:
    evidence = Evidence()
    for number in range(200):
        evidence = step(evidence, float(number % 2), number % 3 == 0, 0.05)
    assert min(*evidence.better, *evidence.worse) > float("-inf")


@pytest.mark.parametrize(("reward", "expected"), [(-4.0, 0.0), (1.0, 1.0), (-1.5, 0.5), (-9.0, 0.0), (3.0, 1.0)])
def test_a_reward_is_a_share_of_its_bounds(reward: float, expected: float) -> None:
    assert scaled(reward, (-4.0, 1.0)) == expected


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_every_point_bounds_its_rewards(point: DecisionPoint) -> None:
    low, high = point.outcome.bounds
    assert low < high


def test_lots_are_the_same_everywhere_and_as_many_as_the_share_says() -> None:
    units = [f"node-{number}@7" for number in range(4000)]
    assert draw("promotion", "node-1@7") == pytest.approx(0.11769495, abs=1e-8)
    for share in (0.0, 0.05, 0.5, 1.0):
        assert sum(challenger("one", unit, share) for unit in units) / 4000 == pytest.approx(share, abs=0.03)
    both = sum(challenger("one", unit, 0.5) and challenger("other", unit, 0.5) for unit in units)
    assert both / 4000 == pytest.approx(0.25, abs=0.03)


def test_who_was_the_challengers_stays_so_when_it_gets_more() -> None:
    for unit in (f"job-{number}@0" for number in range(500)):
        held = [challenger("one", unit, share) for share in (0.05, 0.2, 0.5, 1.0)]
        assert all(after or not before for before, after in pairwise(held))


def test_where_decisions_interfere_the_whole_cluster_is_one_unit_for_an_hour() -> None:
    alone, together = POINT["uam.restart"], POINT["ufm.placement"]
    assert unit_of(alone, "app-1", 0) != unit_of(alone, "app-2", 0)
    assert unit_of(together, "job-1", 0) == unit_of(together, "job-2", BLOCK - 1)
    assert unit_of(together, "job-1", 0) != unit_of(together, "job-1", BLOCK)


def test_a_unit_counts_once_with_its_mean_when_its_outcomes_are_due() -> None:
    canary = Canary("one", (0.0, 10.0), DUE)
    for number in range(4):
        canary.decided("app@0", number, 0.5)
    canary.came("app@0", 10.0)
    canary.came("app@0", 5.0)
    canary.settle(BLOCK + DUE - 1)
    assert canary.evidence.units == 0
    canary.settle(BLOCK + DUE)
    assert canary.evidence == step(Evidence(), 1.5 / 4, challenger("one", "app@0", 0.5), 0.5)
    canary.came("app@0", 10.0)
    canary.settle(10 * BLOCK)
    assert canary.evidence.units == 1


def test_a_unit_stays_whose_it_was_when_the_share_grows() -> None:
    unit = next(name for name in (f"app-{n}@0" for n in range(99)) if 0.2 < draw("one", name) < 0.5)
    canary = Canary("one", (0.0, 1.0), DUE)
    canary.decided(unit, 0, 0.2)
    canary.decided(unit, 1, 0.5)
    assert not canary.open[unit].challenger
    assert canary.open[unit].share == 0.2


def test_traffic_that_was_not_drawn_tells_nothing() -> None:
    canary = Canary("one", (0.0, 1.0), DUE)
    canary.decided("app@0", 0, 1.0)
    canary.settle(2 * BLOCK)
    assert canary.evidence == Evidence()
    assert not canary.open


def test_the_order_in_which_outcomes_come_changes_nothing() -> None:
    def folded(order: list[int]) -> Evidence:
        canary = Canary("one", (0.0, 1.0), DUE)
        for number in range(30):
            canary.decided(f"app-{number}@0", number, 0.5)
        for number in order:
            canary.came(f"app-{number}@0", (number % 3) / 2)
        canary.settle(2 * BLOCK)
        return canary.evidence

    assert folded(list(range(30))) == folded(list(reversed(range(30))))


def test_a_canary_survives_a_snapshot() -> None:
    canary = Canary("one", (0.0, 1.0), DUE)
    canary.decided("app@0", 0, 0.5)
    canary.settle(1)
    read = msgspec.json.decode(msgspec.json.encode(canary), type=Canary)
    assert read == canary
    assert ALPHA == 0.05
