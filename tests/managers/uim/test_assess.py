"""elias policy assess: what was promised of a champion, and what came."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from federation.clock import DAY, SECOND
from federation.manager import Emission
from federation.policy.arms import BLOCK
from federation.policy.promotions import Estimate, Promotion, Registered
from federation.policy.registry import Stage, Step
from federation.records import Kind, decode
from managers.uim.report.assess import Reign, Verdict, assess, assessed, judged
from managers.uim.report.decided import Decided
from managers.uim.report.intervals import Interval
from tests.policy.plant import VALVE, Says, Works
from tests.policy.test_promotion import clear, hour, register, shuffled, stepped, works_in

CHAMPION = Step(Stage.CHAMPION, 1.0)


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    made = works_in(tmp_path, "observe")
    yield made
    made.close()


def found(works: Works) -> list[tuple[str, Verdict]]:
    return [(one.policy, one.verdict) for one in assess(works.store, works.points, works.clock.now())]


def test_a_champion_that_gains_what_was_promised_kept_it_and_the_one_that_harms_did_not(works: Works) -> None:
    good, bad = register(works, b"good"), register(works, b"bad")
    others: dict[str, Says] = {good: clear, bad: shuffled}
    for number in range(2):
        hour(works, Random(number), others)
    stepped(works, good, CHAMPION)
    hour(works, Random(2), others)
    stepped(works, bad, CHAMPION)
    hour(works, Random(3), others)
    newest, first = assess(works.store, works.points, works.clock.now())
    assert (newest.policy, newest.verdict) == (bad, Verdict.BROKEN)
    assert (first.policy, first.verdict, first.by, first.until) == (good, Verdict.KEPT, "ada", newest.at)
    assert first.expected == Estimate(improvement=12.0, low=3.0, speed=1.0, decisions=2000)
    assert first.decisions == (80, 40)
    assert first.figures["reward"].after == 1.0
    assert first.figures["escalated"].before == first.figures["escalated"].after == 0.0
    assert newest.figures["reward"].after == 0.0
    assert newest.figures["reward"].known[0] == 40


def test_a_promise_is_what_was_registered_before_the_promotion(works: Works) -> None:
    version = register(works)
    stepped(works, version, CHAMPION)
    (record,) = works.records(Kind.POLICY)
    known: Registered = decode(Kind.POLICY, record.body)
    later = msgspec.structs.replace(known, estimates={VALVE.name: Estimate(90.0, 80.0, None, 10)})
    works.federation.note(Emission(Kind.POLICY, "", "", "", later), "ulm")
    (one,) = assess(works.store, works.points, works.clock.now() + 1)
    assert one.expected == known.estimates[VALVE.name]


@pytest.mark.parametrize(("block", "enough"), [(BLOCK, True), (DAY, False)])
def test_what_counts_as_one_is_what_the_trial_counted_as_one(block: int, enough: bool) -> None:
    """Ten valves, every hour of a day before and of a day after."""
    made = Promotion(1, 1, "v", "", Stage.CHAMPION, 1.0, None, "ada", "", "", DAY, block)
    seen = [
        Decided(
            VALVE.name, f"valve{valve}", hour * 3600 * SECOND, "policy", True, False, None, False, None, 1.0, 0.0, None
        )
        for valve in range(10)
        for hour in range(48)
    ]
    gain = assessed(VALVE, Reign(VALVE.name, made, None, 0, 2 * DAY), seen).gain
    assert (gain is not None) == enough


def test_right_after_a_promotion_nothing_can_be_told(works: Works) -> None:
    version = register(works)
    hour(works, Random(0), {version: clear})
    stepped(works, version, CHAMPION)
    assert found(works) == [(version, Verdict.OPEN)]


def test_what_a_challenger_decided_in_its_canary_is_not_the_champions(works: Works) -> None:
    version = register(works)
    stepped(works, version, Step(Stage.CANARY, 0.5))
    for number in range(2):
        hour(works, Random(number), {version: clear})
    stepped(works, version, CHAMPION)
    hour(works, Random(2), {version: clear})
    (one,) = assess(works.store, works.points, works.clock.now())
    assert one.decisions[0] == pytest.approx(40, abs=15)
    assert one.decisions[1] == 40
    assert one.point == VALVE.name


@pytest.mark.parametrize(
    ("low", "gain", "verdict"),
    [
        (3.0, Interval(8, 4, 12), Verdict.KEPT),
        (3.0, Interval(3, 1, 5), Verdict.KEPT),
        (3.0, Interval(3, -1, 7), Verdict.OPEN),
        (3.0, Interval(1, 0.5, 1.5), Verdict.BROKEN),
        (3.0, Interval(-5, -9, -1), Verdict.BROKEN),
        (-4.0, Interval(-5, -9, -1), Verdict.BROKEN),
        (None, Interval(0, 0, 0), Verdict.KEPT),
        (None, Interval(-1, -3, 1), Verdict.OPEN),
        (None, Interval(-5, -9, -1), Verdict.BROKEN),
        (3.0, None, Verdict.OPEN),
    ],
)
def test_a_promise_is_kept_broken_or_open(low: float | None, gain: Interval | None, verdict: Verdict) -> None:
    expected = None if low is None else Estimate(10.0, low, None, 500)
    assert judged(expected, gain)[0] == verdict


def test_a_gain_in_answers_promises_no_gain_in_reward() -> None:
    agreed = Estimate(80.0, 70.0, None, 500, of="answers")
    for gain in (Interval(8, 4, 12), Interval(3, -1, 7), Interval(-5, -9, -1)):
        assert judged(agreed, gain) == judged(None, gain)
