"""What people say of cases, and what becomes of it with time."""

from pathlib import Path

import pytest

from federation.clock import SECOND
from federation.errors import Conflict, Refused
from federation.escalation import Escalation
from managers.uim.cases.case import Group
from managers.uim.cases.claims import CaseUpdate

from .kit import House

MINUTE = 60


def say(house: House, what: str, case: str, by: str = "ada", **more: object) -> Group:
    house.federation.note(house.uim.say(CaseUpdate(what, case, by, **more), house.clock.now()), "uim")  # type: ignore[arg-type]
    group = house.book.group(case)
    assert group is not None
    return group


def test_whoever_acknowledges_first_has_it_and_the_second_is_told_who(house: House) -> None:
    first, second = house.warm("f1", "f2")
    assert say(house, "acknowledged", first).holder == "ada"
    with pytest.raises(Conflict, match="ada has it"):
        say(house, "acknowledged", second, by="bob")
    assert say(house, "acknowledged", second, by="bob", take=True).holder == "bob"


def test_a_case_that_joins_later_is_in_the_same_hands(house: House) -> None:
    (first,) = house.warm("f1")
    say(house, "acknowledged", first)
    (second,) = house.warm("f2")
    group = house.book.group(second)
    assert group is not None
    assert (group.holder, len(group.cases)) == ("ada", 2)


@pytest.mark.parametrize("what", ["released", "delegated"])
def test_only_what_one_has_can_be_given_away(house: House, what: str) -> None:
    (id,) = house.warm("f1")
    with pytest.raises(Conflict, match="nobody has it"):
        say(house, what, id, to="bob")
    say(house, "acknowledged", id)
    with pytest.raises(Conflict, match="ada has it"):
        say(house, what, id, by="bob", to="eve")
    assert say(house, what, id, to="bob").holder == ("" if what == "released" else "bob")


def test_nothing_is_said_of_a_group_that_is_answered(house: House) -> None:
    (id,) = house.warm("f1")
    house.answer(id)
    with pytest.raises(Conflict, match="answered"):
        say(house, "acknowledged", id)
    with pytest.raises(Refused, match="no open case"):
        say(house, "acknowledged", "absent")


@pytest.mark.parametrize("seconds", [1, 31 * 86_400, -60])
def test_a_snooze_has_its_limits(house: House, seconds: int) -> None:
    (id,) = house.warm("f1")
    with pytest.raises(Refused, match="no time to sleep"):
        say(house, "snoozed", id, until=house.clock.now() + seconds * SECOND)


def test_what_is_said_is_kept_in_order(house: House) -> None:
    (id,) = house.warm("f1")
    say(house, "commented", id, words="hot")
    say(house, "acknowledged", id, by="bob")
    assert [(w.what, w.by, w.words) for w in house.groups()[0].words] == [
        ("commented", "ada", "hot"),
        ("acknowledged", "bob", ""),
    ]


# -- with time ----------------------------------------------------------------------------------------------------


@pytest.fixture
def slow(tmp_path: Path) -> House:
    spec_waits = 10 * 3600
    return House(tmp_path, _escalation(), spec=_patient(spec_waits))


def _escalation() -> Escalation:
    return Escalation.model_validate(
        {
            "answer_within": {"high": 60 * MINUTE, "critical": 15 * MINUTE},
            "forgotten_after": {"high": 20 * MINUTE, "critical": 10 * MINUTE},
        }
    )


def _patient(seconds: int) -> str:
    from tests.federation.lab import SPEC

    return SPEC.replace("timeout: 1m", f"timeout: {seconds}s")


def test_an_acknowledged_case_that_is_forgotten_comes_back(slow: House) -> None:
    (id,) = slow.warm("f1")
    say(slow, "acknowledged", id)
    slow.wait(19 * MINUTE)
    assert slow.groups(holder="ada")
    say(slow, "commented", id, words="still at it")
    slow.wait(19 * MINUTE)
    assert slow.groups(holder="ada")
    slow.wait(2 * MINUTE)
    (group,) = slow.groups()
    assert (group.holder, group.acknowledged) == ("", False)
    assert (group.words[-1].what, group.words[-1].to, group.words[-1].by) == ("returned", "ada", "elias")


def test_a_case_that_waits_too_long_is_raised_once(slow: House) -> None:
    slow.warm("f1")
    slow.wait(61 * MINUTE)
    (group,) = slow.groups()
    assert group.priority == "critical"
    slow.wait(120 * MINUTE)
    assert [word.what for word in slow.groups()[0].words] == ["raised"]


def test_a_snoozed_group_sleeps_and_wakes(slow: House) -> None:
    (id,) = slow.warm("f1")
    say(slow, "snoozed", id, until=slow.clock.now() + 90 * MINUTE * SECOND)
    slow.wait(80 * MINUTE)
    assert (len(slow.groups(state="snoozed")), len(slow.groups(state="open"))) == (1, 0)
    assert slow.groups()[0].priority == "high"
    slow.wait(11 * MINUTE)
    (group,) = slow.groups(state="open")
    assert [word.what for word in group.words] == ["snoozed", "woken", "raised"]


def test_its_own_time_out_ends_a_case_whoever_has_it_and_never_approves(house: House) -> None:
    (id,) = house.warm("f1")
    say(house, "acknowledged", id)
    say(house, "snoozed", id, until=house.clock.now() + 3600 * SECOND)
    house.wait(61)
    assert house.book.case(id) is None
    ended = house.book.state.closed[id]
    assert (ended.action, ended.tier) == ("hold", "timeout")


def test_all_of_it_is_the_same_after_a_restart(slow: House) -> None:
    import msgspec

    ids = slow.warm("f1", "f2")
    say(slow, "acknowledged", ids[0])
    slow.wait(21 * MINUTE)
    slow.ask("e1")
    say(slow, "snoozed", ids[1], until=slow.clock.now() + 30 * MINUTE * SECOND)
    slow.wait(31 * MINUTE)
    before = msgspec.json.encode(slow.uim.state)
    slow.restart()
    assert msgspec.json.encode(slow.uim.state) == before
    slow.wait(30 * MINUTE)
    assert [word.what for word in slow.groups(point="lab.furnace")[0].words][-1] == "raised"
