"""How good a data set is, and what people say of a sample of it."""

from random import Random

import msgspec
import pytest

from federation.errors import Refused
from training.dataset.example import Logged
from training.dataset.quality import Measure, Quality
from training.dataset.sample import drawn, page, read
from training.dataset.scrub import scrub
from training.dataset.simulated import logged
from training.scenarios.generate import scenario

POINT = "uam.restart"
WORLD = scenario(POINT)
ASKED = list(WORLD.examples("train", 120))


def decided(knows: bool) -> list[Logged]:
    """By somebody who knows the best candidate, or nothing."""
    random = Random(1)
    right = iter(ASKED)

    def answer(questions):
        return [tuple(one if knows else random.random() for one in next(right).right) for _ in questions]

    return [scrub(WORLD.point.schema, one).example for one in logged(WORLD, ASKED, answer, 0.0)]


def measured(examples: list[Logged]) -> Quality:
    measure = Measure(WORLD.point)
    for example in examples:
        measure.add(example)
    return measure.result()


def test_the_simulated_world_tells_right_answers_from_answers_by_chance() -> None:
    good, poor = measured(decided(knows=True)).judged, measured(decided(knows=False)).judged
    assert good is not None
    assert poor is not None
    assert good.examples > 0
    assert good.right == pytest.approx(good.best, abs=0.05)
    assert poor.right < good.right - 0.1


def test_shares_of_actions_and_rewards_are_those_of_the_examples() -> None:
    examples = decided(knows=True)
    found = measured(examples)
    assert found.examples == len(examples)
    assert found.rewarded == 1.0
    assert sum(one.chosen for one in found.actions.values()) == pytest.approx(1, abs=1e-5)
    for name, action in found.actions.items():
        rewards = [one.reward for one in examples if one.question.candidates[one.choice].action == name]
        assert action.rewarded == len(rewards)
        if rewards:
            assert action.reward == pytest.approx(sum(rewards) / len(rewards), abs=1e-5)


def test_people_who_answer_the_same_question_in_two_ways_are_counted() -> None:
    one, other = decided(knows=True)[:2]
    by_person = msgspec.structs.replace(one, tier="operator", choice=0)
    otherwise = msgspec.structs.replace(by_person, choice=1)
    same = msgspec.structs.replace(other, tier="advisor")
    found = measured([by_person, otherwise, same, same])
    assert (found.repeated, found.differing) == (2, 1)
    assert found.tiers == {"advisor": 2, "operator": 2}


def test_marks_on_a_page_come_back_as_a_share_with_an_interval() -> None:
    text = page({POINT: WORLD.point.schema}, drawn(decided(knows=True), 10))
    parts = text.split("- [ ] right")
    assert len(parts) == 11
    marked = "- [x] right".join(parts[:7]) + "- [ ] right" + "- [ ] right".join(parts[7:])
    marked = marked[::-1].replace("- [ ] wrong"[::-1], "- [X] wrong"[::-1], 1)[::-1]
    found = read(marked)
    assert (found.right, found.wrong, found.open) == (6, 1, 3)
    low, high = found.interval
    assert found.share == pytest.approx(6 / 7)
    assert 0 < low < found.share < high < 1


@pytest.mark.parametrize(
    ("change", "what"),
    [(lambda text: text, "no decision is marked"), (lambda text: text.replace("[ ]", "[x]"), "right and wrong")],
)
def test_a_page_that_says_nothing_or_both_is_refused_with_a_cure(change, what) -> None:
    text = page({POINT: WORLD.point.schema}, drawn(decided(knows=True), 3))
    with pytest.raises(Refused, match=what) as refused:
        read(change(text))
    assert refused.value.cure


def test_the_page_shows_what_was_chosen_and_not_what_came_of_it() -> None:
    (one,) = drawn(decided(knows=True), 1)
    text = page({POINT: WORLD.point.schema}, [one])
    assert text.count("(chosen)") == 1
    assert "done" not in text
    assert one.reward is None or f"{one.reward}" not in text.partition("##")[2]
