"""The book: which cases are in it, in which groups and in which order."""

from pathlib import Path

import msgspec
import pytest

from federation.escalation import Escalation
from managers.uim.cases import book as book_module
from managers.uim.cases.queue import Wanted
from managers.uim.manager import UimState

from .kit import House


def test_a_case_is_in_the_book_until_it_is_answered(house: House) -> None:
    (id,) = house.warm("f1")
    case = house.book.case(id)
    assert case is not None
    assert (case.point, case.subject, case.clause, case.priority) == ("lab.furnace", "f1", "warm", "high")
    assert [option.action for option in case.options] == ["cool", "vent", "hold"]
    house.answer(id)
    assert house.book.case(id) is None
    assert house.groups() == []


def test_what_a_rule_decides_is_no_case(house: House) -> None:
    house.warm("f1", heat=95)
    house.warm("f2", heat=10)
    assert house.book.counts(house.clock.now()).cases == 0


def test_alike_cases_that_open_close_together_are_one_group(house: House) -> None:
    first, second = house.warm("f1", "f2")
    house.wait(30)
    (third,) = house.warm("f3")
    (group,) = house.groups()
    assert (group.id, list(group.cases)) == (first, [first, second, third])
    assert house.book.group(third) is group


def test_a_case_long_after_the_others_is_a_group_of_its_own(tmp_path: Path) -> None:
    house = House(tmp_path, Escalation(group_within=10))
    house.warm("f1")
    house.wait(11)
    house.warm("f2")
    assert [len(group.cases) for group in house.groups()] == [1, 1]


def test_approvals_of_different_actions_are_not_alike(house: House) -> None:
    house.ask("e1", "e2")
    house.warm("f1")
    assert sorted((group.point, len(group.cases)) for group in house.groups()) == [
        ("gate.approval", 2),
        ("lab.furnace", 1),
    ]


def test_a_case_that_is_asked_again_stays_in_its_group(house: House) -> None:
    (id,) = house.warm("f1")
    house.federation.desks["lab"].manager.wind = 30.0  # type: ignore[attr-defined]
    house.answer(id, "vent")
    case = house.book.case(id)
    assert case is not None
    assert (case.attempt, case.group) == (1, id)
    assert [option.action for option in case.options] == ["cool", "hold"]
    house.answer(id, "cool")
    (group,) = house.book.state.groups.values()
    assert (len(group.cases), group.answered, group.kept) == (0, 1, 1)


def test_the_most_urgent_comes_first_and_of_these_the_oldest(tmp_path: Path) -> None:
    house = House(tmp_path, Escalation(group_within=0, priorities={"gate.approval": "critical"}))
    for name in ("f1", "f2"):
        house.warm(name)
        house.wait(1)
    house.ask("e1")
    shown = [(group.priority, group.point) for group in house.groups()]
    assert shown == [("critical", "gate.approval"), ("high", "lab.furnace"), ("high", "lab.furnace")]
    assert [house.book.state.cases[group.id].subject for group in house.groups()][1:] == ["f1", "f2"]


def test_pages_go_on_where_the_one_before_ended_though_groups_came_and_went(tmp_path: Path) -> None:
    house = House(tmp_path, Escalation(group_within=0))
    ids = []
    for number in range(7):
        ids += house.warm(f"f{number}")
        house.wait(1)
    first = house.book.page(Wanted(limit=3))
    house.answer(ids[2])
    house.answer(ids[4])
    house.warm("late")
    second = house.book.page(Wanted(limit=3, after=first.next))
    assert [group.id for group in first.groups] == ids[:3]
    assert [group.id for group in second.groups][:2] == [ids[3], ids[5]]


def test_the_cases_of_a_group_come_in_pages_too(house: House) -> None:
    ids = house.warm(*(f"f{n}" for n in range(5)))
    (group,) = house.groups()
    first, after = house.book.cases(group, limit=3)
    rest, end = house.book.cases(group, after, limit=3)
    assert sorted([case.id for case in (*first, *rest)]) == sorted(ids)
    assert end == ""


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(manager="gate"), 1),
        (Wanted(point="lab.furnace"), 1),
        (Wanted(priority="high"), 1),
        (Wanted(holder="ada"), 0),
        (Wanted(state="snoozed"), 0),
        (Wanted(state="open"), 2),
        (Wanted(), 2),
    ],
)
def test_groups_are_found_by_what_they_are(house: House, wanted: Wanted, found: int) -> None:
    house.warm("f1")
    house.ask("e1")
    assert len(house.book.page(wanted).groups) == found


def test_the_book_counts_what_is_open(house: House) -> None:
    house.warm("f1", "f2")
    house.ask("e1")
    counts = house.book.counts(house.clock.now() + 10**18)
    assert (counts.cases, counts.groups, counts.unclaimed, counts.overdue) == (3, 2, 2, 2)
    assert counts.by_manager == {"gate": 1, "lab": 2}


def test_a_restarted_uim_has_the_same_book(house: House) -> None:
    ids = house.warm("f1", "f2", "f3")
    house.ask("e1")
    house.answer(ids[1])
    before = msgspec.json.encode(house.uim.state)
    house.restart()
    assert msgspec.json.encode(house.uim.state) == before


def test_a_snapshot_holds_the_book(house: House) -> None:
    ids = house.warm("f1", "f2")
    house.answer(ids[0])
    (group,) = house.groups()
    saved = msgspec.json.encode(house.uim.dump())
    house.uim.load(msgspec.json.decode(saved, type=UimState))
    assert house.groups() == [group]


def test_closed_cases_are_forgotten_after_a_while(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "CLOSED_KEPT", 3)
    for number in range(6):
        (id,) = house.warm(f"f{number}")
        house.answer(id)
    state = house.book.state
    assert (len(state.closed), len(state.groups), len(state.newest)) == (3, 3, 1)


def test_a_case_past_the_most_that_are_kept_is_left_to_its_time_out(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_module, "OPEN_KEPT", 2)
    ids = house.warm("f1", "f2", "f3")
    assert (len(house.book.state.cases), house.book.state.left_out) == (2, 1)
    house.answer(ids[2])
