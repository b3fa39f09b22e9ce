"""The point `uim.access`, with its shipped spec, on a virtual clock."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import tiki
from federation.clock import VirtualClock
from federation.effects import Executor, FreezeFlag
from federation.ledger.store import Store
from federation.local import LocalFederation, points_of
from federation.manager import Emission
from federation.points import schemas
from federation.records import Kind, Mode
from federation.settings import Settings, shipped_specs
from managers.uim.blocks import Access
from managers.uim.manager import Uim

GUESSER = "192.0.2.7"


class Door:
    def __init__(self, folder: Path) -> None:
        settings = Settings(state=folder)
        self.clock = VirtualClock()
        self.uim = Uim(settings)
        self.store = Store.open(str(folder / "ledger.db"))
        bundle = tiki.load(shipped_specs() / "uim", schemas(points_of([Uim])))
        self.executor = Executor(folder / "effects.db", {"uim.access": Access()}, self.clock, FreezeFlag(folder))
        self.federation = LocalFederation([self.uim], bundle, self.store, self.clock, settings, {"@uim": self.executor})

    def mode(self, mode: str) -> None:
        for action in ("block", "unblock"):
            self.federation.note(Emission(Kind.MODE, "", "", "", Mode(f"uim.access/{action}", mode, "tests")))

    def wrong_tokens(self, count: int, address: str = GUESSER) -> None:
        for _ in range(count):
            self.clock.advance(0.5)
            self.federation.report("uim", [{"refused": address}])

    async def silence(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.federation.tick()
        await self.federation.act()

    def answers(self) -> list[str]:
        asked = self.store.latest(50, kinds=[Kind.ANSWERED], points=["uim.access"])
        return [r.body.decode().split('"action":"')[1].split('"')[0] for r in reversed(asked)]


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    made = Door(tmp_path)
    yield made
    made.executor.close()
    made.store.close()


def test_a_few_wrong_tokens_are_a_typing_error_and_leave_no_record(door: Door) -> None:
    door.wrong_tokens(9)
    assert door.answers() == []


async def test_as_shipped_a_guesser_is_only_observed(door: Door) -> None:
    door.wrong_tokens(15)
    await door.federation.act()
    assert door.answers() == ["block"]
    assert door.uim.state.blocked == []


async def test_in_mode_act_a_guesser_is_blocked_until_it_has_been_silent(door: Door) -> None:
    door.mode("act")
    door.wrong_tokens(15)
    await door.federation.act()
    assert door.uim.state.blocked == [GUESSER]
    await door.silence(30)
    assert door.uim.state.blocked == [GUESSER]
    await door.silence(61)
    assert door.uim.state.blocked == []
    assert door.answers() == ["block", "hold", "unblock"]


async def test_this_machine_is_never_blocked(door: Door) -> None:
    door.mode("act")
    door.wrong_tokens(50, "127.0.0.1")
    await door.federation.act()
    assert door.uim.state.blocked == []


def test_addresses_without_number_do_not_fill_the_memory(door: Door) -> None:
    for number in range(1500):
        door.wrong_tokens(1, f"2001:db8::{number:x}")
    assert len(door.uim.failures) <= 1000


async def test_who_says_what_came_of_an_answer_that_did_nothing_opens_the_door_to_nobody(door: Door) -> None:
    door.wrong_tokens(15)
    (observed,) = door.store.latest(1, kinds=[Kind.ANSWERED], points=["uim.access"])
    door.mode("act")
    await door.silence(600)
    door.wrong_tokens(15)
    await door.federation.act()
    assert door.uim.state.blocked == [GUESSER]
    assert door.federation.report_outcomes("uim", [(observed.header.decision, 1.0, "quiet")], "mallory") == [None]
    assert door.uim.state.blocked == [GUESSER]
