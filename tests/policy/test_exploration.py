"""What exploration may take, how often, and that the propensities on record are the true ones."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from federation.policy.exploration import propensities, taken
from federation.records import Scored
from federation.replay import replay
from tests.policy.plant import SPEC, Question, Works, chosen

SURE = Question((-6.0, -7.0, -5.0, -0.011), 3)
"""The policy is sure of `hold`."""

Make = Callable[..., Works]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Works] = []

    def works(*settings: str, consult: str = "[open, close, flush, hold]", audit: float = 0.0) -> Works:
        lines = "".join(f"- {line}\n" for line in settings)
        made.append(Works(tmp_path, SPEC.replace("[open, close, flush, hold]", consult) + lines, audit=audit))
        return made[-1]

    yield works
    for one in made:
        one.close()


def said(*shares: float, choice: int, draw: float) -> Scored:
    offered = list(range(len(shares)))
    scores = [0.0] * len(shares)
    return Scored("p", "e", offered, scores, choice, 1.0, 0.5, "policy", "", 0, propensities=list(shares), draw=draw)


@pytest.mark.parametrize(
    ("others", "share", "expected"),
    [
        ([0, 1], 0.02, [0.01, 0.01, 0.0, 0.98]),
        ([0], 0.02, [0.02, 0.0, 0.0, 0.98]),
        ([0, 3], 0.5, [0.5, 0.0, 0.0, 0.5]),
        ([], 0.02, [0.0, 0.0, 0.0, 1.0]),
        ([3], 0.02, [0.0, 0.0, 0.0, 1.0]),
        ([0, 1], 0.0, [0.0, 0.0, 0.0, 1.0]),
        ([0, 1], 1.0, [0.5, 0.5, 0.0, 0.0]),
    ],
)
def test_the_share_is_split_between_what_may_be_taken_instead(
    others: list[int], share: float, expected: list[float]
) -> None:
    assert propensities([0, 1, 2, 3], 3, others, share) == pytest.approx(expected)


def test_over_many_draws_each_candidate_is_taken_as_often_as_its_propensity_says() -> None:
    random = Random(3)
    shares = (0.05, 0.0, 0.15, 0.8)
    counts = Counter(taken(said(*shares, choice=3, draw=random.random())) for _ in range(100_000))
    for index, share in enumerate(shares):  # four standard deviations
        assert abs(counts[index] / 100_000 - share) <= 4 * (share * (1 - share) / 100_000) ** 0.5


def test_through_the_cascade_what_is_taken_is_as_frequent_as_the_record_says(make: Make) -> None:
    works, random = make("explore: 40%", "explore_budget: 100000_per_day"), Random(5)
    found = works.scored(works.ask([SURE] * 2000, random.random))
    assert {tuple(one.propensities) for one in found} == {(0.2, 0.2, 0.0, 0.6)}
    counts = Counter(map(chosen, found))
    assert counts["flush"] == 0
    for action, share in (("open", 0.2), ("close", 0.2), ("hold", 0.6)):
        assert counts[action] / 2000 == pytest.approx(share, abs=4 * (share * (1 - share) / 2000) ** 0.5)


def test_what_was_explored_is_answered_and_done_and_says_so(make: Make) -> None:
    works = make("explore: 40%")
    (decision,) = works.ask([SURE], lambda: 0.3)
    (scored,) = works.scored([decision])
    answered, effect = works.store.decision(decision)[2:4]
    assert (scored.choice, chosen(scored), scored.draw, scored.tier) == (3, "close", 0.3, "policy")
    assert b"explored: not `hold`, the best, is taken" in answered.body
    assert b'"action":"close"' in answered.body
    assert effect.header.kind == "effect"


def test_replay_takes_the_draws_on_record(make: Make) -> None:
    works = make("explore: 40%", "explore_budget: 1000_per_day")
    random = Random(7)
    works.ask([SURE] * 200, random.random)
    found = replay(works.store, works.points)
    assert (found.identical, found.by_others) == (True, 200)


@pytest.mark.parametrize(
    ("consult", "scores", "best"),
    [
        ("[flush, hold]", (-6.0, -0.011), "hold"),  # nothing that can be taken back
        ("[close, flush]", (-0.011, -6.0), "close"),  # the only such thing is the best
    ],
)
def test_what_cannot_be_taken_back_is_never_tried(
    make: Make, consult: str, scores: tuple[float, ...], best: str
) -> None:
    works = make("explore: 100%", "explore_budget: 1000_per_day", consult=consult)
    found = works.scored(works.ask([Question(scores, 0)] * 200, Random(9).random))
    assert {chosen(one) for one in found} == {best}
    assert {max(one.propensities) for one in found} == {1.0}


def test_to_do_nothing_is_tried_where_the_spec_names_it(make: Make) -> None:
    works = make("explore: 40%", "explore_budget: 1000_per_day", consult="[close, flush, hold]")
    found = works.scored(works.ask([Question((-0.011, -6.0, -5.0), 0)] * 200, Random(9).random))
    assert {chosen(one) for one in found} == {"close", "hold"}


def test_an_action_that_the_clause_does_not_name_is_never_tried(make: Make) -> None:
    works = make("explore: 100%", "explore_budget: 1000_per_day", consult="[open, flush, hold]")
    random = Random(11)
    found = works.scored(works.ask([Question((-6.0, -5.0, -0.011), 2)] * 200, random.random))
    assert {chosen(one) for one in found} == {"open"}


@pytest.mark.parametrize("mode", ["observe", "approve"])
def test_what_would_not_be_done_is_not_tried_for_it_teaches_nothing(make: Make, mode: str) -> None:
    works = make("explore: 100%", "explore_budget: 1000_per_day")
    works.mode("plant.valve/open", mode)
    works.mode("plant.valve/close", mode)
    found = works.scored(works.ask([SURE] * 50, Random(13).random))
    assert {chosen(one) for one in found} == {"hold"}


def test_the_budget_of_a_day_holds_and_the_record_says_when_it_is_spent(make: Make) -> None:
    works, random = make("explore: 50%", "explore_budget: 7_per_day"), Random(15)
    found = works.scored(works.ask([SURE] * 200, random.random))
    explored = [taken(one) != one.choice for one in found]
    assert sum(explored) == 7
    last = max(number for number, one in enumerate(explored) if one)
    assert {tuple(one.propensities) for one in found[last + 1 :]} == {(0.0, 0.0, 0.0, 1.0)}
    works.clock.advance(23.9 * 3600)
    assert {chosen(one) for one in works.scored(works.ask([SURE] * 50, random.random))} == {"hold"}
    works.clock.advance(0.2 * 3600)
    again = works.scored(works.ask([SURE] * 200, random.random))
    assert sum(taken(one) != one.choice for one in again) == 7


def test_a_restart_does_not_give_the_budget_back(make: Make) -> None:
    works, random = make("explore: 50%", "explore_budget: 7_per_day"), Random(17)
    works.ask([SURE] * 100, random.random)
    desk = works.federation.desks["plant"]
    desk.restore(desk.snapshot())
    assert {chosen(one) for one in works.scored(works.ask([SURE] * 50, random.random))} == {"hold"}


def test_only_what_the_policy_answers_is_explored(make: Make) -> None:
    works = make("explore: 100%")
    (decision,) = works.ask([Question((-1.4, -1.4, -1.4, -1.35), 3)], lambda: 0.1)
    (scored,) = works.scored([decision])
    assert (scored.tier, scored.propensities, scored.draw) == ("operator", [], 1.0)


def test_what_is_checked_is_not_explored(make: Make) -> None:
    works = make("explore: 100%", audit=0.5)
    (decision,) = works.ask([SURE], lambda: 0.2)
    (scored,) = works.scored([decision])
    assert (scored.audit, scored.propensities, taken(scored)) == (True, [], scored.choice)


def test_without_the_setting_nothing_is_explored(make: Make) -> None:
    works = make()
    found = works.scored(works.ask([SURE] * 50, Random(19).random))
    assert {(chosen(one), one.draw) for one in found} == {("hold", 1.0)}
