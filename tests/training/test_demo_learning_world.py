"""The world of the demonstration of learning: what changes in it can be learned, and not by heart."""

from random import Random

import numpy as np

from training.dataset.example import CHOSEN_BY_POLICY
from training.dataset.simulated import logged
from training.demo_learning.pressed import Pressed
from training.demo_learning.sabotage import shuffled
from training.scenarios.scenario import Example

QUESTIONS = 300


def asked(world: Pressed) -> list[Example]:
    return list(world.scenario.examples("test", QUESTIONS, completions=8))


def best(examples: list[Example]) -> list[str]:
    means = [np.array(one.outcomes).mean(axis=0) for one in examples]
    return [one.question.candidates[int(mean.argmax())].action for one, mean in zip(examples, means, strict=True)]


def test_the_change_leaves_the_questions_as_they_were_and_turns_about_half_of_the_answers() -> None:
    world = Pressed(1)
    before = asked(world)
    world.change()
    after = asked(world)
    assert [one.question for one in after] == [one.question for one in before]
    turned = sum(was != now for was, now in zip(best(before), best(after), strict=True)) / QUESTIONS
    assert 0.35 < turned < 0.7


def test_after_the_change_no_one_answer_is_right_for_most_questions() -> None:
    world = Pressed(1)
    world.change()
    closed = best(asked(world)).count("scale_out") / QUESTIONS
    assert 0.3 < closed < 0.7


def test_the_question_of_a_number_is_always_the_same() -> None:
    world = Pressed(1)
    (first, second) = (world.question(number) for number in (3, 3))
    assert first == second


def test_shuffled_labels_are_answers_that_were_given_and_teach_nothing_of_which() -> None:
    world = Pressed(1)
    log = logged(world.scenario, asked(world), lambda some: [(0.0,) * len(one.candidates) for one in some], 0.5)
    mixed = shuffled(log, Random(1))
    assert sorted(one.choice for one in mixed) == sorted(one.choice for one in log)
    assert {one.tier for one in mixed} == {"operator"} != {CHOSEN_BY_POLICY}
    assert sum(one.choice != other.choice for one, other in zip(mixed, log, strict=True)) > QUESTIONS / 5
