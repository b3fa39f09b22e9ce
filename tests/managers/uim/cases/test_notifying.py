"""Whom ELIAS tells of a group of cases, and when; through the real UCM, up to its queue."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tiki
from federation.clock import SECOND, VirtualClock
from federation.errors import Temporary
from federation.ledger.store import Store
from federation.local import LocalFederation, points_of
from federation.manager import Emission
from federation.points import schemas
from federation.records import CaseWord, Event, Kind, Record, decode
from federation.settings import Settings, shipped_specs
from managers.ucm.manager import Ucm
from managers.uim.cases.claims import CaseUpdate
from managers.uim.cases.pager import Pager
from managers.uim.manager import Uim
from tests.federation.lab import SPEC, Lab

MINUTE = 60
ESCALATION: dict[str, Any] = {
    "answer_within": {"high": "8h"},
    "forgotten_after": {"high": "30m"},
    "people": {"ada": {"through": ["ada-hook"]}, "bob": {"through": ["bob-hook", "team"]}},
    "schedules": {
        "duty": {"layers": [{"people": ["ada", "bob"], "starts": "2023-11-13T09:00", "rotate": "7d"}]},
        "nobody": {},
    },
    "chains": {
        "page": {
            "steps": [{"notify": ["duty"]}, {"after": "10m", "notify": ["duty", "bob"]}],
            "rounds": 2,
            "pause": "20m",
        },
        "quiet": {"steps": [{"after": "1m", "notify": ["nobody"]}], "rounds": 1},
    },
    "routes": [{"cases": "lab.*", "chain": "page"}],
}
POINTS = points_of([Lab, Uim, Ucm])


class Town:
    """The laboratory, UIM with its pager, and UCM, which may be away."""

    def __init__(self, folder: Path, escalation: dict[str, Any] = ESCALATION) -> None:
        targets = {name: {"kind": "webhook", "url": "http://127.0.0.1:1/"} for name in ("ada-hook", "bob-hook", "team")}
        self.settings = Settings.model_validate({"state": folder, "targets": targets, "escalation": escalation})
        self.clock = VirtualClock()
        self.store = Store.open(str(folder / "ledger.db"))
        self.uim = Uim(self.settings, POINTS)
        spec = SPEC.replace("timeout: 1m", "timeout: 12h")
        texts = [tiki.Source("lab.tiki", spec)]
        texts += [t for name in ("uim", "ucm") for t in tiki.read_directory(shipped_specs() / name, f"{name}/")]
        bundle = tiki.build(texts, schemas(POINTS))
        managers = [Lab(self.settings), self.uim, Ucm(self.settings)]
        self.federation = LocalFederation(managers, bundle, self.store, self.clock, self.settings, {})
        self.away = False
        self.tasks: list[asyncio.Task[None]] = []
        self.pager = Pager(self, self)

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        self.tasks.append(asyncio.ensure_future(work))
        return self.tasks[-1]

    async def note(self, make: Callable[[int], list[Emission]]) -> None:
        for emission in make(self.clock.now()):
            self.federation.note(emission, "uim")

    async def call(self, child: str, method: str, *args: Any, patience: float = 0.0) -> Any:
        assert (child, method) == ("ucm", "submit")
        if self.away:
            raise Temporary("ucm is being restarted")
        return msgspec.msgpack.encode(self.federation.post(msgspec.msgpack.decode(args[0], type=list[Event])))

    async def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.federation.tick()
        self.pager.look(self.clock.now())
        await asyncio.gather(*self.tasks)

    def warm(self, *furnaces: str) -> str:
        """The id of their group."""
        events = [
            Event(f"{n} {self.clock.now()}", "t", "lab.measured", f, None, {"heat": 80}) for n, f in enumerate(furnaces)
        ]
        self.federation.post(events)
        return self.uim.book.state.groups[next(reversed(self.uim.book.state.groups))].id

    def say(self, what: str, case: str, by: str = "ada", **more: Any) -> None:
        self.federation.note(self.uim.say(CaseUpdate(what, case, by, **more), self.clock.now()), "uim")

    def sent(self) -> list[Event]:
        """The messages that UCM accepted, oldest first."""
        asked = self.store.read(kinds=[Kind.ASKED], points=["ucm.delivery"])
        events = [decode(Kind.ASKED, record.body).event for record in asked]
        return [event for event in events if event.type == "elias.message.send"]

    def told(self) -> list[str]:
        return [event.data["target"] for event in self.sent()]


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


async def test_whoever_is_on_call_is_told_at_once_and_others_later(town: Town) -> None:
    town.warm("f1", "f2")
    await town.wait(0)
    assert town.told() == ["ada-hook"]
    await town.wait(9 * MINUTE)
    assert town.told() == ["ada-hook"]
    await town.wait(1 * MINUTE)
    assert town.told() == ["ada-hook", "ada-hook", "bob-hook", "team"]


async def test_a_chain_goes_round_as_often_as_it_says(town: Town) -> None:
    town.warm("f1")
    for _ in range(120):
        await town.wait(1 * MINUTE)
    assert town.told().count("bob-hook") == 2
    assert town.told().count("ada-hook") == 4


async def test_a_message_says_what_waits_and_links_to_it(town: Town) -> None:
    group = town.warm("f1", "f2")
    await town.wait(0)
    (event,) = town.sent()
    body = event.data["body"]
    assert event.id == f"notify {group} 0 ada ada-hook"
    assert event.data["priority"] == "high"
    assert body["title"] == "high: lab.furnace, 2 cases"
    assert body["text"].startswith("f1, f2\n")
    assert body["link"] == f"/cases/{group}"
    assert body["fields"]["answer with"] == "cool, vent, hold"


async def test_nobody_is_told_of_what_somebody_has_until_it_comes_back(town: Town) -> None:
    group = town.warm("f1")
    await town.wait(0)
    town.say("acknowledged", group)
    await town.wait(25 * MINUTE)
    assert town.told() == ["ada-hook"]
    await town.wait(6 * MINUTE)
    assert town.told() == ["ada-hook", "ada-hook"]
    assert len({event.id for event in town.sent()}) == 2


async def test_whoever_is_assigned_a_group_is_told(town: Town) -> None:
    group = town.warm("f1")
    town.say("assigned", group, to="bob")
    await town.wait(0)
    await town.wait(15 * MINUTE)
    assert town.told() == ["bob-hook", "team"]


async def test_a_group_that_is_handed_to_a_chain_follows_that_chain(town: Town) -> None:
    group = town.warm("f1")
    await town.wait(0)
    town.say("acknowledged", group)
    town.say("delegated", group, to="quiet")
    await town.wait(2 * MINUTE)
    words = town.uim.book.state.groups[group].words
    assert (words[-1].what, words[-1].words) == ("unsent", "nobody is on call in `nobody`")
    assert town.told() == ["ada-hook"]


async def test_a_storm_tells_once(town: Town) -> None:
    town.warm(*(f"f{n}" for n in range(300)))
    await town.wait(0)
    town.warm("late")
    await town.wait(1 * MINUTE)
    assert town.told() == ["ada-hook"]


async def test_what_could_not_be_sent_is_sent_when_ucm_is_back(town: Town) -> None:
    town.away = True
    group = town.warm("f1")
    await town.wait(0)
    assert town.uim.book.state.groups[group].words == []
    town.away = False
    await town.wait(10)
    assert town.told() == ["ada-hook"]


async def test_a_crash_between_sending_and_recording_sends_nothing_twice(town: Town) -> None:
    group = town.warm("f1")

    async def crash(make: object) -> None:
        raise Temporary("the process ended here")

    note, town.note = town.note, crash  # type: ignore[method-assign, assignment]
    await town.wait(0)
    assert town.uim.book.state.groups[group].words == []
    town.note = note  # type: ignore[method-assign]
    await town.wait(10)
    assert town.told() == ["ada-hook"]
    words = [word for word in _words(town.store) if word.what == "notified"]
    assert [(word.to, word.through, word.step) for word in words] == [("ada", "ada-hook", 0)]


async def test_nobody_is_told_of_a_group_that_is_answered_or_asleep(town: Town) -> None:
    group = town.warm("f1")
    town.say("snoozed", group, until=town.clock.now() + 3600 * SECOND)
    await town.wait(30 * MINUTE)
    assert town.told() == []
    await town.wait(31 * MINUTE)
    assert town.told() == ["ada-hook"]
    town.federation.answer("lab", group, "hold")
    await town.wait(11 * MINUTE)
    assert town.told() == ["ada-hook"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"people": {"ada": {"through": ["pigeon"]}}}, "no outbound target `pigeon`"),
        ({"routes": [{"chain": "nowhere"}]}, "no chain `nowhere`"),
        ({"chains": {"c": {"steps": [{"notify": ["eve"]}]}}}, "no person or schedule `eve`"),
        ({"schedules": {"s": {"layers": [{"people": ["eve"], "starts": "2026-01-01T00:00"}]}}}, "no person `eve`"),
        ({"people": {"x": {"through": ["team"]}}, "schedules": {"x": {}}}, "of a person and of a schedule"),
    ],
)
def test_a_name_that_is_not_there_is_found_before_it_is_needed(
    tmp_path: Path, wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        Town(tmp_path, wrong)


def _words(store: Store) -> list[CaseWord]:
    found: list[Record] = list(store.read(kinds=[Kind.CASE]))
    return [decode(Kind.CASE, record.body) for record in found]
