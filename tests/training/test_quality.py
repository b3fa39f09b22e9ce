"""What is said of the quality of examples."""

import pytest
from lamp import WORLD, lamps

from training.quality import measure

LAMPS = lamps()
EXAMPLES = list(LAMPS.examples("train", 300))
QUALITY = measure(LAMPS, EXAMPLES)


def test_random_is_worse_than_rules_and_rules_are_worse_than_the_best():
    for reach in (QUALITY.overall, *QUALITY.families.values()):
        assert 0 < reach.random < reach.rules < reach.best <= 1
    assert QUALITY.overall.examples == sum(family.examples for family in QUALITY.families.values()) == 300


def test_a_family_says_how_often_the_spec_consults_in_it():
    assert set(QUALITY.families) == set(WORLD.families) - {WORLD.held_out}
    assert all(family.consults == pytest.approx(0.75, abs=0.06) for family in QUALITY.families.values())


def test_facts_are_known_absent_or_unknown():
    assert QUALITY.columns["price"].unknown == pytest.approx(0.1, abs=0.06)
    assert QUALITY.columns["light"].known == 1.0
    for column in QUALITY.columns.values():
        assert column.known + column.absent + column.unknown == pytest.approx(1)


def test_what_never_varies_has_no_entropy():
    same = measure(LAMPS, EXAMPLES[:1] * 4)
    assert {column.entropy for column in same.columns.values()} == {0.0}
    assert same.entropy == same.balance == 0.0


def test_shares_of_answers_and_of_positions_sum_to_one():
    assert sum(answers.right for answers in QUALITY.actions.values()) == pytest.approx(1)
    assert sum(QUALITY.positions) == pytest.approx(1)
    assert QUALITY.actions["torch"].offered == 0
    assert 0 < QUALITY.balance <= 1


def test_duplicates_are_counted_exactly_and_but_for_digits():
    assert (QUALITY.duplicates, QUALITY.near) == (0, 0)
    first = EXAMPLES[0]
    facts = {**first.question.facts, "light": first.question.facts["light"] * (1 + 1e-9)}
    near = type(first)(first.question._replace(facts=facts), first.family, first.right, first.outcomes)
    assert measure(LAMPS, [first, first, near]).duplicates == pytest.approx(1 / 3)
    assert measure(LAMPS, [first, first, near]).near == pytest.approx(2 / 3)


def test_nothing_cannot_be_measured():
    with pytest.raises(ValueError, match="no example"):
        measure(LAMPS, [])
