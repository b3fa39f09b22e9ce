import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tiki
from federation.clock import VirtualClock
from federation.gate import APPROVAL, SUPERVISION, WITHHELD
from federation.ledger.store import Store
from federation.local import LocalFederation
from federation.points import schemas
from federation.records import Event, Kind
from federation.replies import Rejected, Reply
from federation.settings import Settings, shipped_specs
from managers.ulm.manager import Ulm
from managers.ulm.points import POINTS
from managers.ulm.series import SERIES

Post = Callable[..., Reply | Rejected]


class Room:
    """A federation of ULM alone, and its clock."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.store = Store.open(f"sqlite:///{folder}/ledger.db")
        points = {p.name: p for p in (*POINTS, APPROVAL, WITHHELD, SUPERVISION)}
        sources = [s for m in ("ulm", "gate") for s in tiki.read_directory(shipped_specs() / m, f"{m}/")]
        self.bundle = tiki.build(sources, schemas(points))
        self.ulm = Ulm(Settings(state=folder), self.store)
        self.federation = LocalFederation([self.ulm], self.bundle, self.store, self.clock, Settings(state=folder))
        self._events = 0

    def post(self, kind: str, subject: str, **data: Any) -> Any:
        self._events += 1
        (replies,) = self.federation.post([Event(str(self._events), "test", kind, subject, None, data)])
        return replies if isinstance(replies, Rejected) else replies[0]

    def measured(self, subject: str = "parser", **data: Any) -> Any:
        return self.post("elias.component.measured", subject, **data)

    def live(self, cpu: Iterator[float], node: str = "a") -> None:
        """One report a minute with these percentages of cpu."""
        for value in cpu:
            self.clock.advance(60)
            report = {"node": node, "cpu": value, "memory": 40.0, "gpu": None, "disk": 30.0}
            self.federation.report("ulm", [report])

    @property
    def suggestions(self) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = self.ulm.view(self.clock.now())["suggestions"]
        return shown


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.store.close()


def timings(mean: float, spread: float, count: int, seed: int = 1) -> list[float]:
    source = random.Random(seed)
    return [mean + source.gauss(0, spread) for _ in range(count)]


def test_every_example_of_the_shipped_spec_holds(room: Room) -> None:
    assert [r.message for r in tiki.run_examples(room.bundle) if not r.passed] == []


def test_a_stage_that_is_45_percent_slower_gets_the_advice_for_its_pattern(room: Room) -> None:
    reply = room.measured(
        stage=2,
        baseline_stage=1,
        baseline=timings(100, 5, 20),
        current=timings(145, 5, 20),
        pattern="memory_allocation_in_loop",
    )
    assert (reply.action, reply.args["what"]) == ("suggest", "move_allocation_outside_loop")
    (shown,) = room.suggestions
    assert (shown["subject"], shown["text"]) == ("parser", "Move allocation outside loop.")
    assert shown["confidence"] > 99


@pytest.mark.parametrize(
    ("baseline", "current"),
    [
        (timings(100, 5, 20), timings(104, 5, 20)),
        (timings(100, 60, 3), timings(125, 60, 3, seed=2)),
        (timings(145, 5, 20), timings(100, 5, 20)),
        (100.0, 145.0),
    ],
    ids=["too little", "too unsure", "faster", "one timing each"],
)
def test_what_could_be_chance_or_does_not_matter_is_not_suggested(room: Room, baseline: Any, current: Any) -> None:
    assert room.measured(baseline=baseline, current=current).action == "hold"
    assert room.suggestions == []


def test_without_a_pattern_the_advice_is_to_look(room: Room) -> None:
    reply = room.measured(baseline=timings(100, 5, 9), current=timings(160, 5, 9))
    assert reply.args["what"] == "look_at_slowdown"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"baseline": [1.0]}, "current"),
        ({"baseline": [], "current": [1.0]}, "timings"),
        ({"baseline": [-1.0, 1.0], "current": [1.0]}, "negative"),
        ({"baseline": ["fast"], "current": [1.0]}, "baseline"),
        ({"baseline": [1.0, 2.0], "current": [3.0, 4.0], "pattern": "magic"}, "magic"),
    ],
)
def test_a_malformed_measurement_is_refused_with_the_cure(room: Room, data: dict[str, Any], said: str) -> None:
    refused = room.measured(**data)
    assert isinstance(refused, Rejected)
    assert said in refused.message
    assert refused.cure


def test_a_measurement_of_nothing_is_refused(room: Room) -> None:
    assert room.measured("", baseline=1.0, current=2.0).code == "no-subject"


def test_a_level_that_moves_on_a_live_node_is_suggested_once(room: Room) -> None:
    room.live(iter(timings(20, 3, 120)))
    assert room.suggestions == []
    room.live(iter(timings(60, 3, 40, seed=2)))
    whats = [(s["subject"], s["what"]) for s in room.suggestions]
    assert whats.count(("a/cpu", "look_at_level")) == 1


def test_a_quiet_node_leaves_no_record(room: Room) -> None:
    room.live(iter(timings(20, 3, 500)))
    assert room.store.latest(10, kinds=[Kind.ASKED]) == []


def test_decisions_that_rules_stop_deciding_are_noticed(room: Room) -> None:
    """The share that a spec leaves to its fallback goes from none to all."""

    def pass_minutes(count: int, data: dict[str, Any]) -> None:
        for _ in range(count):
            for number in range(20):
                room.measured(f"part-{number}", **data)
            room.clock.advance(60)
            room.federation.tick()

    pass_minutes(50, {"baseline": [1.0, 1.0], "current": [1.0, 1.0]})
    pass_minutes(40, {"baseline": 1.0, "current": 2.0})
    assert ("ulm.suggestion/undecided", "look_at_level") in {(s["subject"], s["what"]) for s in room.suggestions}


def test_more_series_than_there_is_room_for_are_left_out_and_counted(room: Room) -> None:
    reports = [{"node": f"node-{n}", "cpu": 5.0, "memory": 9.0, "gpu": None, "disk": 9.0} for n in range(SERIES // 2)]
    room.federation.report("ulm", reports)
    view = room.ulm.view(room.clock.now())
    assert view["series"] <= SERIES
    assert view["left_out"] > 0


def test_suggestions_outlive_a_restart_and_stay_few(room: Room) -> None:
    for number in range(60):
        room.measured(f"part-{number}", baseline=[1.0, 1.0], current=[2.0, 2.0])
    desk = room.federation.desks["ulm"]
    saved = desk.snapshot()
    room.ulm.load(type(room.ulm.state)())
    desk.restore(saved)
    assert len(room.suggestions) == 50
    assert room.suggestions[0]["subject"] == "part-59"


def test_a_level_that_moves_again_and_again_is_suggested_once_a_week(room: Room) -> None:
    source = random.Random(5)
    levels = [level + source.gauss(0, 1) for _ in range(6) for level in (20.0, 70.0) for _ in range(120)]
    room.live(iter(levels))
    assert [s["what"] for s in room.suggestions].count("look_at_level") == 1
    room.clock.advance(7 * 86400)
    room.live(iter(levels))
    assert [s["what"] for s in room.suggestions].count("look_at_level") == 2
