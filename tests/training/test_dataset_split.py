"""Which examples are kept, and where each stands."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.dataset.split import SHARES, Copies, Row, capped, splits, weights

ORDER = list(SHARES)


def rows(families: list[tuple[str, int]]) -> list[Row]:
    random = Random(0)
    return [
        Row(point, bytes([family]), random.choice(("go", "stay")), random.getrandbits(64)) for point, family in families
    ]


HISTORIES = st.lists(st.tuples(st.sampled_from(("one", "two")), st.integers(0, 60)), min_size=1, max_size=200).map(rows)


@given(HISTORIES)
def test_no_family_stands_on_two_sides_of_a_border(history: list[Row]) -> None:
    found: dict[tuple[str, bytes], set[str]] = {}
    for row, split in zip(history, splits(history), strict=True):
        found.setdefault((row.point, row.family), set()).add(split)
    assert all(len(where) == 1 for where in found.values())


@given(HISTORIES)
def test_nothing_that_is_measured_on_is_older_than_the_beginning_of_a_family_that_is_learned(
    history: list[Row],
) -> None:
    for point in {row.point for row in history}:
        begins: dict[bytes, int] = {}
        oldest: dict[str, int] = {}
        newest_family: dict[str, int] = {}
        for at, (row, split) in enumerate(zip(history, splits(history), strict=True)):
            if row.point == point:
                begins.setdefault(row.family, at)
                oldest.setdefault(split, at)
                newest_family[split] = max(newest_family.get(split, 0), begins[row.family])
        for before, after in pairwise(ORDER):
            if before in newest_family and after in oldest:
                assert newest_family[before] < oldest[after]


@given(HISTORIES)
def test_each_point_is_split_by_itself(history: list[Row]) -> None:
    together = splits(history)
    for point in ("one", "two"):
        mine = [number for number, row in enumerate(history) if row.point == point]
        assert [together[number] for number in mine] == splits([history[number] for number in mine])


@pytest.mark.parametrize("copies", [1, 5])
def test_the_shares_are_80_10_and_10_percent_of_the_examples(copies: int) -> None:
    random = Random(1)
    families = [number for number in range(200) for _ in range(copies)]
    random.shuffle(families)
    counts = Counter(splits(rows([("one", family) for family in families])))
    for name, share in SHARES.items():
        assert counts[name] / len(families) == pytest.approx(share, abs=0.01)


def test_the_first_copies_of_a_family_are_kept_whatever_was_chosen() -> None:
    copies = Copies(2)
    taken = [copies.takes(family) for family in (b"a", b"b", b"a", b"a", b"b", b"b")]
    assert taken == [True, True, True, False, True, False]
    assert all(Copies(None).takes(b"a") for _ in range(100))


def test_a_cap_thins_out_common_actions_of_the_training_split_alone() -> None:
    history = rows([("one", family) for family in range(200)])
    split = splits(history)
    over = capped(history, split, 20)
    kept = Counter(history[n].action for n in range(200) if split[n] == "train" and n not in over)
    assert kept == {"go": 20, "stay": 20}
    assert {split[number] for number in over} == {"train"}
    assert over == capped(history, split, 20)
    assert not capped(history, split, None)


def test_with_the_weights_every_action_counts_as_much_as_any_other() -> None:
    random = Random(2)
    history = [Row("one", b"", random.choices(("go", "stay"), (9, 1))[0], 0) for _ in range(1000)]
    found = weights(history)["one"]
    for action, count in Counter(row.action for row in history).items():
        assert count * found[action] == pytest.approx(500)
