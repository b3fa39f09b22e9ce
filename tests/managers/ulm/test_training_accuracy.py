from random import Random

import pytest

from managers.ulm.accuracy import BLOCK, Accuracy


def lived(accuracy: Accuracy, questions: int, *, sure: float, alone: float, up: float, seed: int = 1) -> None:
    """Of the questions the policy is sure of so many, 5 % of which are checked; the rest is always answered. alone, up:
    how often it is right."""
    random = Random(seed)
    for _ in range(questions):
        is_sure = random.random() < sure
        accuracy.asked(alone=is_sure)
        if not is_sure or random.random() < 0.05:
            accuracy.checked(alone=is_sure, right=random.random() < (alone if is_sure else up))


def test_until_two_blocks_of_answers_are_known_nothing_has_dropped() -> None:
    accuracy = Accuracy()
    for _ in range(2 * BLOCK - 1):
        accuracy.asked(alone=False)
        accuracy.checked(alone=False, right=accuracy.first is None)
    assert accuracy.drop() is None
    accuracy.asked(alone=False)
    accuracy.checked(alone=False, right=False)
    assert accuracy.drop() == 1


def test_each_part_counts_by_its_questions_and_not_by_what_is_known_of_it() -> None:
    accuracy = Accuracy()
    lived(accuracy, 6_000, sure=0.9, alone=0.97, up=0.5)
    assert accuracy.first is not None
    assert accuracy.first.accuracy() == pytest.approx(0.9 * 0.97 + 0.1 * 0.5, abs=0.04)
    known = accuracy.first.alone.right + accuracy.first.up.right
    assert known / (accuracy.first.alone.checked + accuracy.first.up.checked) < 0.75


def test_a_policy_that_asks_more_but_is_as_right_as_before_has_not_dropped() -> None:
    accuracy = Accuracy()
    lived(accuracy, 6_000, sure=0.9, alone=0.9, up=0.9)
    lived(accuracy, 2_000, sure=0.0, alone=0.9, up=0.9)
    assert accuracy.last is not accuracy.first
    assert accuracy.drop() is None


def test_a_drop_is_seen_though_the_answers_that_are_known_get_better() -> None:
    """While it was sure, only the hard questions were answered; once it asks about everything, the easy ones are."""
    accuracy = Accuracy()
    lived(accuracy, 6_000, sure=0.9, alone=0.98, up=0.5)
    lived(accuracy, 2_000, sure=0.0, alone=0.0, up=0.8)
    assert accuracy.drop() == pytest.approx(0.93 - 0.8, abs=0.06)


def test_chance_alone_is_no_drop() -> None:
    found = 0
    for seed in range(200):
        accuracy = Accuracy()
        lived(accuracy, 420, sure=0.0, alone=0.0, up=0.9, seed=seed)
        found += accuracy.drop() is not None
    assert found <= 7  # one in a hundred; more than 7 of 200 happens to one seed of these in 600


def test_what_is_sure_and_never_checked_keeps_a_block_open() -> None:
    accuracy = Accuracy()
    for _ in range(3 * BLOCK):
        accuracy.asked(alone=True)
        accuracy.asked(alone=False)
        accuracy.checked(alone=False, right=True)
    assert accuracy.first is None


def test_an_answer_that_comes_in_a_later_block_than_its_question_counts_there() -> None:
    accuracy = Accuracy()
    for _ in range(BLOCK + 5):
        accuracy.asked(alone=False)
    for _ in range(BLOCK + 5):
        accuracy.checked(alone=False, right=True)
    assert accuracy.filling.up.asked == accuracy.filling.up.checked == 5


def test_a_block_does_not_wait_for_checks_of_what_is_not_decided_alone_any_more() -> None:
    accuracy = Accuracy()
    for _ in range(300):
        accuracy.asked(alone=True)
    accuracy.checked(alone=True, right=True)
    for _ in range(BLOCK):
        accuracy.asked(alone=False, may=False)
        accuracy.checked(alone=False, right=False)
    assert accuracy.last is not None
    assert accuracy.last.accuracy() == 0


def test_a_drop_is_seen_although_the_promise_broke_before_the_first_block_was_full() -> None:
    accuracy = Accuracy()
    for _ in range(3 * BLOCK):
        accuracy.asked(alone=True)
    for number in range(BLOCK // 4):
        accuracy.checked(alone=True, right=number > 4)
    for _ in range(BLOCK):
        accuracy.asked(alone=False, may=False)
        accuracy.checked(alone=False, right=False)
    assert accuracy.drop() == pytest.approx(0.9)
