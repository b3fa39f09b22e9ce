"""The file of the index by itself, without a ledger."""

import itertools
import os
from hashlib import sha256
from pathlib import Path

import pytest

from federation.ledger import index
from federation.ledger.faults import Duplicate
from federation.ledger.index import Index, Key, Mark, Unusable
from federation.ledger.merkle import EMPTY

START = Mark(0, EMPTY)
FIRST_TABLE = 8192  # records that the first table covers


def hashed(n: int) -> str:
    return sha256(b"%d" % n).hexdigest()[:32]


def commit(n: int) -> Mark:
    return Mark(n, sha256(b"root %d" % n).digest())


def never(seq: int, key: Key) -> bool:
    return False


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db-index"


@pytest.fixture
def made(path: Path) -> Index:
    return Index.make(path)


@pytest.mark.parametrize(
    "ids", [[hashed(n) for n in range(30)], ["d1", "d2", "Zürich 🛰", "\ud800", "x" * 32, "-" * 32]]
)
def test_each_record_is_found_by_its_decision(made: Index, ids: list[str]) -> None:
    keys = [(seq, id, kind, 0) for seq, (id, kind) in enumerate(itertools.product(ids, ["asked", "effect"]), start=1)]
    made.add(keys, len(keys), never)
    for n, id in enumerate(ids):
        assert made.find([id]) == [2 * n + 1, 2 * n + 2]
    assert made.find(ids) == list(range(1, len(keys) + 1))
    assert made.find([hashed(-1), "nothing"]) == []


def test_over_many_tables_nothing_is_lost_and_a_file_opened_before_shows_what_it_covers(
    made: Index, path: Path
) -> None:
    before = START
    earlier = Index(path, write=False)
    for last in range(5000, 12 * FIRST_TABLE, 5000):
        made.add([(seq, hashed(seq), "asked", 0) for seq in range(before.size + 1, last + 1)], last, never)
        made.mark(commit(last), before)
        before = commit(last)
    later = Index(path, write=False)
    assert made.covers(before)
    assert later.covers(before)
    assert not earlier.covers(before)
    sample = range(1, before.size, 997)
    assert all(later.find([hashed(seq)]) == [seq] for seq in sample)
    assert all(earlier.find([hashed(seq)]) == [seq] for seq in sample if seq <= FIRST_TABLE)


@pytest.mark.parametrize("kind", ["asked", "answered"])
@pytest.mark.parametrize("first", [1, FIRST_TABLE])
def test_what_is_there_once_is_not_entered_again_in_this_or_a_later_table(made: Index, kind: str, first: int) -> None:
    held: dict[int, Key] = {}

    def taken(seq: int, key: Key) -> bool:
        return held.get(seq, key)[1:] == key[1:]

    held[first] = (first, hashed(1), kind, 1)
    made.add([held[first]], first, taken)
    again = first + 1
    with pytest.raises(Duplicate, match=f"{hashed(1)} was {kind} before"):
        made.add([(again, hashed(2), kind, 0), (again + 1, hashed(1), kind, 1)], again + 1, taken)
    assert made.find([hashed(2)]) == []
    others = [(hashed(1), kind, 0), (hashed(1), kind, 5), (hashed(1), "outcome", 1), (hashed(1), "outcome", 1)]
    made.add([(seq, *rest) for seq, rest in enumerate(others, start=again)], again + 3, taken)
    assert made.find([hashed(1)]) == [first, again, again + 1, again + 2, again + 3]


def test_a_record_that_is_entered_twice_is_there_once(made: Index) -> None:
    keys = [(seq, hashed(seq // 2), "asked", 0) for seq in range(1, 100)]
    made.add(keys, 99)
    size = sum(1 for slot in made._slots if slot)
    made.add(keys, 99)
    assert sum(1 for slot in made._slots if slot) == size


def test_what_a_failed_commit_left_is_taken_out_and_what_a_good_one_left_stays(made: Index) -> None:
    made.add([(1, hashed(1), "asked", 0)], 1, never)
    made.mark(commit(1), START)
    made.settle(commit(1))
    made.add([(2, hashed(2), "asked", 0)], 2, never)
    made.mark(commit(2), commit(1))
    made.settle(commit(1))
    assert (made.find([hashed(1)]), made.find([hashed(2)])) == ([1], [])
    assert commit(1) in made.marks()


def test_after_another_has_written_nothing_is_taken_out(made: Index, path: Path) -> None:
    made.add([(1, hashed(1), "asked", 0)], 1, never)
    made.mark(commit(1), START)
    other = Index(path, write=True)
    other.add([(2, hashed(2), "asked", 0)], 2, never)
    other.mark(commit(2), commit(1))
    made.settle(commit(2))
    assert made.find([hashed(1), hashed(2)]) == [1, 2]


def test_marks_say_how_far_it_goes(made: Index) -> None:
    assert made.covers(START)
    made.mark(commit(10), START)
    made.mark(commit(20), commit(10))
    assert [made.covers(mark) for mark in (START, commit(10), commit(15), commit(20), commit(30))] == [
        True,
        True,
        False,
        True,
        False,
    ]
    assert not made.covers(Mark(20, EMPTY))


def boot_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_BOOT", os.urandom(16))


def test_it_outlives_its_process_but_not_the_machine(made: Index, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made.add([(1, hashed(1), "asked", 0)], 1)
    assert Index(path, write=True).find([hashed(1)]) == [1]
    boot_again(monkeypatch)
    for write in (False, True):
        with pytest.raises(Unusable):
            Index(path, write=write)


def test_closed_in_order_it_outlives_the_machine_until_it_is_written_again(
    made: Index, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.add([(1, hashed(1), "asked", 0)], 1)
    made.close()
    boot_again(monkeypatch)
    assert Index(path, write=False).find([hashed(1)]) == [1]
    assert Index(path, write=True).find([hashed(1)]) == [1]
    boot_again(monkeypatch)
    with pytest.raises(Unusable):
        Index(path, write=False)


def test_a_copy_that_was_taken_while_it_was_in_use_is_not_trusted(made: Index, path: Path) -> None:
    copy = path.with_name("copy.db-index")
    copy.write_bytes(path.read_bytes())
    with pytest.raises(Unusable):
        Index(copy, write=False)
    made.close()
    copy.write_bytes(path.read_bytes())
    assert Index(copy, write=False).covers(START)


@pytest.mark.parametrize("content", [b"", b"x", b"nothing of ours " * 100_000])
def test_another_file_is_none(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for write in (False, True):
        with pytest.raises(Unusable):
            Index(path, write=write)
    assert path.read_bytes() == content


def test_no_file_a_folder_and_a_shortened_file_are_none(path: Path, made: Index) -> None:
    with pytest.raises(Unusable):
        Index(path.with_name("missing"), write=False)
    with pytest.raises(Unusable):
        Index(path.parent, write=False)
    os.truncate(path, 50_000)
    with pytest.raises(Unusable):
        Index(path, write=True)


def test_tables_that_are_full_of_anything_are_none_and_hold_nobody_up(path: Path, made: Index) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    assert Index(path, write=False).find([hashed(1)]) is not None
    with pytest.raises(Unusable):
        Index(path, write=True).add([(1, hashed(1), "asked", 0)], 1, never)


def test_many_commits_that_were_cut_short_make_a_new_one_necessary(path: Path, made: Index) -> None:
    for _ in range(2):
        made.add([], 2000)
        again = Index(path, write=True)
        again.recover(START)
    made.add([], 1000)
    with pytest.raises(Unusable):
        Index(path, write=True).recover(START)
