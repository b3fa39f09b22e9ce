"""The decisions on a clock of their own; processes are what reports say they are."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from federation import desk as desks
from federation.clock import SECOND, VirtualClock
from federation.ledger.store import Store
from federation.local import LocalFederation
from federation.manager import Emission
from federation.records import Asked, Event, Kind, Mode, Outcome, decode
from federation.replies import Rejected
from federation.settings import Settings
from managers.uam import apps
from managers.uam.manager import Uam

from .world import bundle


class Desk:
    """UAM with made-up nodes: `processes` by node and instance, as the next report will tell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock()
        settings = Settings(state=folder)
        self.uam = Uam(settings)
        store = Store.open(f"sqlite:///{folder / 'ledger.db'}")
        self.federation = LocalFederation([self.uam], bundle(), store, self.clock, settings)
        self.processes: dict[str, dict[str, dict[str, Any]]] = {"n1": {}}
        self.free: dict[str, int] = {}

    def declare(self, text: str) -> None:
        (self.folder / "apps.yaml").write_text(text)
        self.uam.declare(apps.load(self.folder / "apps.yaml"))
        self.federation.tick()

    def report(self, seconds: float = 0.0) -> None:
        self.clock.advance(seconds)
        for node, processes in self.processes.items():
            told = [{**p, "ended": self.seconds(p["ended"])} if "ended" in p else p for p in processes.values()]
            self.federation.report("uam", [{"node": node, "processes": told, "memory_free": self.free.get(node, 0)}])
        self.federation.tick()

    def seconds(self, since: int) -> float:
        return (self.clock.now() - since) / SECOND

    def orders(self) -> list[tuple[str, str, str]]:
        """(action, instance, node) of what is released and not done."""
        wishes = self.federation.gate.state.released.values()
        return [(w.effect.action, w.subject, w.effect.node) for w in wishes]

    def obey(self) -> None:
        """Do what is released, at once and well."""
        for decision, wish in list(self.federation.gate.state.released.items()):
            processes, payload = self.processes[wish.effect.node], wish.effect.payload
            if wish.effect.action == "stop":
                processes.pop(wish.subject, None)
            else:
                known = {name: payload[name] for name in ("app", "instance", "digest")}
                processes[wish.subject] = {**known, "effect": decision, "status": "running", "uptime": 0.0, "pid": 7}
            self.federation.outcome(decision, Outcome("done", "", {"effect": decision}))

    def end(self, key: str, code: int = 1, node: str = "n1") -> None:
        process = self.processes[node][key]
        self.processes[node][key] = {**process, "status": "exited", "exit_code": code, "ended": self.clock.now()}

    def asked(self, key: str) -> list[Asked]:
        records = self.federation.store.read(kinds=[Kind.ASKED], points=["uam.restart"])
        return [decode(Kind.ASKED, r.body) for r in records if r.header.subject == key]

    def status(self, key: str) -> str:
        return next(str(a["status"]) for a in self.uam.view(self.clock.now())["apps"] if a["name"] == key)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def running(desk: Desk, text: str = "apps: {web: {command: [serve]}}") -> Desk:
    desk.declare(text)
    desk.report()
    desk.obey()
    desk.report()
    return desk


def test_nothing_is_started_before_a_node_has_reported(desk: Desk) -> None:
    desk.declare("apps: {web: {command: [serve]}}")
    desk.federation.tick()
    assert desk.orders() == []
    desk.report()
    assert desk.orders() == [("start", "web/0", "n1")]


def test_an_order_is_not_given_again_while_it_is_on_its_way(desk: Desk) -> None:
    desk.declare("apps: {web: {command: [serve]}}")
    for _ in range(4):
        desk.report(5)
    assert desk.orders() == [("start", "web/0", "n1")]


def test_a_report_from_before_the_restart_does_not_restart_again(desk: Desk) -> None:
    running(desk)
    desk.end("web/0")
    old = dict(desk.processes["n1"])
    desk.report()
    desk.obey()
    new, desk.processes["n1"] = desk.processes["n1"], old
    desk.report()
    assert desk.orders() == []
    desk.processes["n1"] = new
    desk.report()
    assert desk.status("web/0") == "running"


def test_each_restart_waits_twice_as_long_on_ledger_time(desk: Desk) -> None:
    running(desk)
    waits = []
    for _ in range(4):
        desk.end("web/0")
        desk.report()
        waited = 0.0
        while not desk.orders():
            desk.clock.advance(0.25)
            waited += 0.25
            desk.federation.tick()
        waits.append(waited)
        desk.obey()
        desk.report()
    assert waits == [0.0, 1.0, 2.0, 4.0]


def test_the_manager_says_when_a_back_off_ends(desk: Desk) -> None:
    running(desk)
    for _ in range(2):
        desk.end("web/0")
        desk.report()
        desk.obey()
        desk.report()
    assert desk.uam.wake() == desk.clock.now() + SECOND


def test_the_window_forgets_old_restarts(desk: Desk) -> None:
    running(desk)
    for _ in range(8):
        desk.end("web/0")
        desk.report(301)
        assert desk.orders() == [("restart", "web/0", "n1")]
        desk.obey()
        desk.report()


def crash_loop(desk: Desk) -> str:
    """Let it fail until somebody is asked; the case."""
    for _ in range(20):
        desk.end("web/0")
        desk.report()
        desk.clock.advance(20)
        desk.report()
        cases = list(desk.federation.desks["uam"].state.cases)
        if cases:
            return cases[0]
        desk.obey()
        desk.report()
    raise AssertionError("nobody was asked")


def test_a_crash_loop_asks_a_person_once(desk: Desk) -> None:
    crash_loop(running(desk))
    for _ in range(5):
        desk.report(5)
    assert len(desk.federation.desks["uam"].state.cases) == 1
    assert desk.orders() == []


@pytest.mark.parametrize(("answer", "status"), [("give_up", "given up"), ("hold", "held")])
def test_an_instance_that_a_person_gave_up_is_left_alone_until_declared_anew(
    desk: Desk, answer: str, status: str
) -> None:
    case = crash_loop(running(desk))
    desk.federation.answer("uam", case, answer)
    desk.report(600)
    assert (desk.orders(), desk.status("web/0")) == ([], status)
    desk.declare("apps: {web: {command: [serve, --better]}}")
    desk.report(1)
    assert desk.orders() == [("start", "web/0", "n1")]


def test_when_nobody_answers_it_is_given_up(desk: Desk) -> None:
    crash_loop(running(desk))
    desk.clock.advance(3601)
    desk.federation.tick()
    assert desk.status("web/0") == "given up"


def test_an_action_that_observes_says_once_what_it_would_do(desk: Desk) -> None:
    running(desk)
    desk.federation.note(Emission(Kind.MODE, "", "", "", Mode("uam.restart/restart", "observe", "somebody")))
    desk.end("web/0")
    before = desk.federation.store.head().size
    for _ in range(5):
        desk.report(5)
    records = [r for r in desk.federation.store.read(after=before) if r.header.kind == Kind.ANSWERED]
    assert [msgspec.json.decode(r.body)["mode"] for r in records] == ["observe"]
    assert desk.orders() == []


def test_instances_are_spread_over_nodes_and_stay_where_they_are(desk: Desk) -> None:
    desk.processes["n2"] = {}
    desk.report()
    running(desk, "apps: {web: {command: [serve], instances: 4}}")
    for _ in range(4):
        desk.obey()
        desk.report()
    assert [len(desk.processes[n]) for n in ("n1", "n2")] == [2, 2]
    where = next(n for n in ("n1", "n2") if "web/3" in desk.processes[n])
    desk.end("web/3", node=where)
    desk.report()
    assert desk.orders() == [("restart", "web/3", where)]


def test_instances_go_where_there_is_room_for_them(desk: Desk) -> None:
    desk.processes |= {"n2": {}, "n3": {}}
    desk.free = {"n1": 1 << 30, "n2": 9 << 30, "n3": 10 << 30}
    running(desk, "apps: {web: {command: [serve], instances: 3, memory: 8GB}}")
    assert [len(desk.processes[node]) for node in ("n1", "n2", "n3")] == [0, 1, 2]


def test_an_instance_starts_elsewhere_when_its_node_stays_silent_and_what_still_ran_there_is_ended(desk: Desk) -> None:
    desk.processes["n2"] = {}
    running(desk)
    lost = desk.processes.pop("n1")
    for _ in range(28):
        desk.report(10)
    assert desk.orders() == []
    for _ in range(3):
        desk.report(10)
    assert desk.orders() == [("start", "web/0", "n2")]
    desk.obey()
    desk.report()
    assert desk.status("web/0") == "running"
    desk.processes["n1"] = lost
    desk.report()
    assert desk.orders() == [("stop", "web/0", "n1")]
    desk.obey()
    desk.report(10)
    assert desk.orders() == []
    assert [list(desk.processes[node]) for node in ("n1", "n2")] == [[], ["web/0"]]


def test_nothing_starts_elsewhere_while_most_nodes_are_silent(desk: Desk) -> None:
    desk.processes |= {"n2": {}, "n3": {}}
    running(desk, "apps: {web: {command: [serve], instances: 3}}")
    for node in ("n1", "n2"):
        del desk.processes[node]
    for _ in range(60):
        desk.report(10)
    assert desk.orders() == []


@pytest.mark.parametrize("stays", ["node: n1", "moves_after: never"])
def test_an_instance_that_belongs_to_its_node_waits_for_it(desk: Desk, stays: str) -> None:
    desk.processes["n2"] = {}
    running(desk, f"apps: {{web: {{command: [serve], {stays}}}}}")
    del desk.processes["n1"]
    for _ in range(60):
        desk.report(10)
    assert desk.orders() == []


def test_nobody_is_asked_about_a_crash_loop_before_its_back_off_is_over(desk: Desk) -> None:
    running(desk)
    while desk.uam.view(desk.clock.now())["apps"][0]["restarts"] < 5:
        desk.end("web/0")
        desk.report(16)
        desk.report(16)
        desk.obey()
        desk.report()
    desk.end("web/0")
    desk.report()
    assert list(desk.federation.desks["uam"].state.cases) == []
    desk.report(17)
    assert len(desk.federation.desks["uam"].state.cases) == 1


def test_an_application_that_is_moved_is_stopped_there_and_started_here(desk: Desk) -> None:
    desk.processes["n2"] = {}
    running(desk, "apps: {web: {command: [serve], node: n1}}")
    desk.declare("apps: {web: {command: [serve], node: n2}}")
    desk.report()
    assert desk.orders() == [("stop", "web/0", "n1")]
    desk.obey()
    desk.report()
    assert desk.orders() == [("start", "web/0", "n2")]


def test_nothing_is_done_on_a_node_that_is_silent(desk: Desk) -> None:
    running(desk)
    desk.processes = {}
    desk.clock.advance(60)
    desk.federation.tick()
    assert desk.orders() == []


def test_fewer_instances_stops_the_last_ones(desk: Desk) -> None:
    running(desk, "apps: {web: {command: [serve], instances: 3}}")
    desk.declare("apps: {web: {command: [serve], instances: 1}}")
    desk.report()
    assert sorted(desk.orders()) == [("stop", "web/1", "n1"), ("stop", "web/2", "n1")]


@pytest.mark.parametrize(
    ("strategy", "with_it"), [("one_for_one", []), ("one_for_all", ["a/0", "c/0"]), ("rest_for_one", ["c/0"])]
)
def test_a_group_restarts_by_its_strategy(desk: Desk, strategy: str, with_it: list[str]) -> None:
    members = "".join(f"  {name}: {{command: [serve], group: g}}\n" for name in "abc")
    running(desk, f"groups: {{g: {strategy}}}\napps:\n{members}")
    desk.end("b/0")
    desk.report()
    assert sorted(key for _, key, _ in desk.orders()) == sorted([*with_it, "b/0"])


def test_the_state_outlives_the_manager(desk: Desk) -> None:
    running(desk)
    state = desk.federation.desks["uam"].snapshot()
    again = desks.Desk(Uam(desk.uam.settings), bundle(), desk.federation.store)
    again.restore(state)
    report = {"node": "n1", "processes": list(desk.processes["n1"].values())}
    assert again.watch([report], desk.clock.now()) == []


@pytest.mark.parametrize(
    ("subject", "data", "code"),
    [("web", {"request": "explode"}, "bad-request"), ("nothing", {"request": "stop"}, "no-app")],
)
def test_a_request_that_cannot_be_is_refused(desk: Desk, subject: str, data: dict[str, str], code: str) -> None:
    running(desk)
    (reply,) = desk.federation.post([Event("1", "person", "elias.app.request", subject, None, data)])
    assert isinstance(reply, Rejected)
    assert (reply.status, reply.code) == (422, code)


def test_a_stop_holds_although_it_was_down_already(desk: Desk) -> None:
    running(desk)
    for _ in range(2):
        desk.end("web/0")
        desk.report()
        desk.obey()
        desk.report()
    desk.end("web/0")
    desk.report()
    desk.federation.post([Event("1", "person", "elias.app.request", "web", None, {"request": "stop"})])
    desk.report(300)
    assert desk.orders() == []
    assert desk.status("web/0") == "stopped"


def test_an_observation_of_an_unknown_application_is_refused_and_nothing_is_kept_of_it(desk: Desk) -> None:
    running(desk)
    before = desk.federation.desks["uam"].snapshot()
    event = Event("stranger", "somebody", "elias.app.observed", "stranger")
    (refused,) = desk.federation.post([event])
    assert isinstance(refused, Rejected)
    assert refused.code == "no-app"
    assert desk.federation.desks["uam"].snapshot() == before


def test_the_end_of_a_process_is_judged_with_how_long_it_ran_and_what_memory_it_had(desk: Desk) -> None:
    running(desk, "apps: {web: {command: [serve], memory: 1000B}, other: {command: [work]}}")
    desk.processes["n1"]["web/0"]["memory"] = 900
    desk.report(60)
    del desk.processes["n1"]["web/0"]["memory"]
    for key, ran in (("other/0", 2.0), ("web/0", 62.0)):
        desk.end(key, -9)
        desk.processes["n1"][key]["ran"] = ran
        desk.report(1)
    facts = desk.asked("web/0")[-1].facts
    assert (facts["uptime"], facts["memory_used"], facts["exit_code"]) == (62.0, 90.0, -9)
    assert (facts["declared_for"], facts["others_failing"]) == (62.0, 1)


def test_how_long_a_process_ran_is_unknown_where_its_node_does_not_tell(desk: Desk) -> None:
    running(desk)
    desk.end("web/0")
    desk.report()
    assert "uptime" not in desk.asked("web/0")[-1].facts
