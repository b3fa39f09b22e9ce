"""UFM on simulated nodes: health by the spec's counts, storms, placement and its undo."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tiki
from federation.clock import VirtualClock
from federation.effects import Executor, FreezeFlag, Order
from federation.gate import freeze_entry
from federation.ledger.store import Store
from federation.local import LocalFederation, points_of
from federation.manager import Emission
from federation.points import schemas
from federation.records import Entry, Event, Kind, Mode, Outcome, encode
from federation.settings import Settings, shipped_specs
from managers.ufm.cordon import Cordon, Cordons
from managers.ufm.manager import Ufm

GIB = 1 << 30
UNKNOWN = Outcome("unknown", "its node was not reached in time")


class Runs:
    """Starts jobs by name only."""

    def __init__(self) -> None:
        self.orders: list[Order] = []

    async def do(self, order: Order) -> Outcome:
        self.orders.append(order)
        return Outcome("done", "", {"exit_code": 0}, 1.0)

    async def probe(self, order: Order) -> Outcome:
        return Outcome("unknown")


class Cluster:
    """Simulated nodes that report every 10 seconds of virtual time as long as they live."""

    def __init__(self, folder: Path, nodes: int, gpus: int = 2) -> None:
        self.clock, self.settings = VirtualClock(), Settings(state=folder)
        self.store = Store.open(f"sqlite:///{folder / 'ledger.db'}")
        self.ufm = Ufm(self.settings)
        self.runs = Runs()
        cordons = Cordons(folder / "cordons")
        doers: dict[str, Any] = {
            "job.start": self.runs,
            "node.cordon": Cordon(cordons, True),
            "node.uncordon": Cordon(cordons, False),
        }
        self.executor = Executor(folder / "effects.db", doers, self.clock, FreezeFlag(folder))
        self.alive = {f"n{i:03}" for i in range(nodes)}
        self.gpus = gpus
        self.jobs: dict[str, list[dict[str, str]]] = {}  # that agents say they run, by node
        self.labels: dict[str, list[str]] = {}  # of nodes
        self.words: dict[str, dict[str, bool]] = {}  # that agents say of leaving, by node
        sources = [s for s in tiki.read_directory(shipped_specs()) if s.path.partition("/")[0] in ("ufm", "gate")]
        bundle = tiki.build(sources, schemas(points_of([Ufm])))
        self.federation = LocalFederation([self.ufm], bundle, self.store, self.clock, self.settings, _Living(self))
        self.federation.report("ufm", [self._report(n) for n in sorted(self.alive)])

    def close(self) -> None:
        self.executor.close()
        self.store.close()

    async def pass_time(self, tens: int) -> None:
        """So many times ten seconds, with reports, ticks and whatever is released."""
        for _ in range(tens):
            self.federation.report("ufm", [self._report(n) for n in sorted(self.alive)])
            self.clock.advance(10)
            self.federation.tick()
            await self.federation.act()

    def mode(self, action: str, mode: str) -> None:
        self.federation.note(Emission(Kind.MODE, "", "", "", Mode(action, mode, "test")))

    def place(self, job: str, id: str = "", **needs: Any) -> Any:
        """id: of the event, where it is not the first about the job."""
        data = {"command": ["true"], "cpus": 1, "memory": GIB} | needs
        (replies,) = self.federation.post([Event(id or job, "test", "elias.job.placement", job, None, data)])
        assert isinstance(replies, list)
        return replies[0]

    def answers(self, action: str) -> list[str]:
        return [
            r.header.subject
            for r in self.store.read(kinds=[Kind.ANSWERED], points=["ufm.node_health"])
            if f'"action":"{action}"'.encode() in r.body
        ]

    def _report(self, node: str) -> dict[str, Any]:
        own = {"jobs": self.jobs.get(node, []), "labels": self.labels.get(node, []), **self.words.get(node, {})}
        return {"node": node, "cpus": 16, "memory_total": 64 * GIB, "gpus": [{"name": "T4"}] * self.gpus, **own}


class _Living(dict[str, Executor]):
    """Only nodes that are alive act."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self.cluster = cluster

    def get(self, node: str, default: Any = None) -> Any:
        return self.cluster.executor if node in self.cluster.alive else default


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path, 3)
    yield cluster
    cluster.close()


async def test_a_healthy_cluster_writes_its_first_look_at_each_node_and_no_more(three: Cluster) -> None:
    await three.pass_time(60)
    assert sorted(three.answers("hold")) == ["n000", "n001", "n002"]
    assert len(list(three.store.read(kinds=[Kind.ASKED]))) == 3


async def test_a_node_that_misses_three_checks_would_be_drained_and_by_default_is_not(three: Cluster) -> None:
    three.alive.discard("n001")
    await three.pass_time(8)
    assert three.answers("drain") == []
    await three.pass_time(6)
    assert three.answers("drain") == ["n001"]
    assert three.place("j").action == "place"
    assert three.ufm.fleet.nodes["n001"].schedulable


async def test_in_mode_act_it_is_drained_and_readmitted_after_two_passed_checks(three: Cluster) -> None:
    three.mode("ufm.node_health/drain", "act")
    three.mode("ufm.node_health/readmit", "act")
    three.alive.discard("n001")
    await three.pass_time(15)
    assert not three.ufm.fleet.nodes["n001"].schedulable
    three.alive.add("n001")
    await three.pass_time(12)
    assert three.answers("readmit") == ["n001"]
    assert three.ufm.fleet.nodes["n001"].schedulable


async def test_the_last_node_is_never_drained(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 1)
    cluster.mode("ufm.node_health/drain", "act")
    cluster.alive.clear()
    await cluster.pass_time(30)
    assert cluster.answers("drain") == []
    cluster.close()


async def test_of_40_nodes_that_vanish_together_three_are_drained_and_the_rest_are_one_case(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, 200)
    cluster.mode("ufm.node_health/drain", "act")
    lost = {f"n{i:03}" for i in range(40, 80)}
    cluster.alive -= lost
    await cluster.pass_time(30)
    assert set(cluster.answers("drain")) == lost
    drained = {n for n, node in cluster.ufm.fleet.nodes.items() if not node.schedulable}
    assert len(drained) == 3
    cases = [c for d in cluster.federation.desks.values() for c in d.state.cases.values()]
    assert [(c.point, c.subject) for c in cases] == [("gate.withheld", "ufm.node_health/drain")]
    assert len(cluster.federation.gate.state.withheld["ufm.node_health/drain"]) == 37
    cluster.close()


async def test_a_job_holds_its_gpus_until_its_outcome(three: Cluster) -> None:
    first = [three.place(f"j{i}", gpus=2) for i in range(3)]
    assert [r.action for r in first] == ["place"] * 3
    assert three.place("late", gpus=1).action == "hold"
    await three.federation.act()
    assert three.place("next", gpus=1).action == "place"
    assert {o.subject for o in three.runs.orders} >= {"j0", "j1", "j2"}


def confirm(cluster: Cluster, point: str, action: str) -> None:
    """As a person answers all cases of a point of the gate."""
    for case in list(cluster.federation.desks["gate"].state.cases.values()):
        if case.point == point:
            cluster.federation.answer("gate", case.decision, action)


def running(cluster: Cluster) -> set[str]:
    return {job["id"] for job in cluster.ufm.view(cluster.clock.now())["jobs"]["running"]}


async def test_a_placement_that_waits_for_a_person_holds_its_room_and_runs_once_it_is_approved(three: Cluster) -> None:
    three.mode("ufm.placement/place", "approve")
    assert {three.place(f"j{i}", gpus=2).args["node"] for i in range(3)} == three.alive
    assert three.place("late", gpus=1).action == "hold"
    await three.pass_time(2)
    assert three.runs.orders == []
    confirm(three, "gate.approval", "approve")
    assert running(three) == {"j0", "j1", "j2"}
    await three.federation.act()
    assert sorted(order.subject for order in three.runs.orders) == ["j0", "j1", "j2"]
    await three.pass_time(1)
    assert running(three) == {"late"}


async def test_a_placement_that_a_person_does_not_approve_gives_its_room_back(three: Cluster) -> None:
    three.mode("ufm.placement/place", "approve")
    three.alive = {"n001"}
    await three.pass_time(5)
    assert three.place("no", gpus=2).args["node"] == "n001"
    assert three.place("next", gpus=2).action == "hold"
    confirm(three, "gate.approval", "hold")
    await three.pass_time(1)
    assert running(three) == {"next"}
    confirm(three, "gate.approval", "approve")
    await three.pass_time(1)
    assert [order.subject for order in three.runs.orders] == ["next"]


async def test_a_job_that_has_a_place_gets_no_other_one(three: Cluster) -> None:
    three.mode("ufm.placement/place", "approve")
    assert three.place("j").action == "place"
    again = Event("again", "test", "elias.job.placement", "j", None, {"command": ["true"]})
    ((reply,),) = three.federation.post([again])
    assert reply.action == "hold"
    confirm(three, "gate.approval", "approve")
    await three.pass_time(3)
    assert [order.subject for order in three.runs.orders] == ["j"]


async def test_what_a_freeze_withheld_runs_where_it_was_placed_once_a_person_releases_it(three: Cluster) -> None:
    three.federation.note(freeze_entry(True, "test", ""))
    placed = {f"j{i}": three.place(f"j{i}", gpus=2).args for i in range(3)}
    three.federation.note(freeze_entry(False, "test", ""))
    confirm(three, "gate.withheld", "release")
    await three.federation.act()
    assert {order.subject: order.args for order in three.runs.orders} == placed


async def test_what_a_person_approves_after_its_node_was_taken_out_does_not_run_there(three: Cluster) -> None:
    three.mode("ufm.placement/place", "approve")
    three.mode("ufm.node_health/drain", "act")
    reply = three.place("j", gpus=2)
    three.alive.discard(reply.args["node"])
    await three.pass_time(15)
    confirm(three, "gate.approval", "approve")
    await three.pass_time(1)
    assert (three.runs.orders, running(three)) == ([], set())


async def test_a_job_whose_node_leaves_before_a_person_approves_is_placed_elsewhere_and_runs_once(
    three: Cluster,
) -> None:
    three.mode("ufm.placement/place", "approve")
    node = three.place("j", gpus=2).args["node"]
    three.words[node] = {"leaving": True, "left": True}
    three.federation.report("ufm", [three._report(node)])
    three.alive.discard(node)
    confirm(three, "gate.approval", "approve")
    await three.pass_time(1)
    ((_, elsewhere),) = [(order.subject, order.args["node"]) for order in three.runs.orders]
    assert elsewhere != node


async def test_a_job_runs_only_where_its_labels_are(three: Cluster) -> None:
    three.labels["n001"] = ["storage", "inference"]
    await three.pass_time(1)
    assert three.place("j", labels=["storage"]).args["node"] == "n001"
    assert three.place("k", labels=["inference", "storage"]).args["node"] == "n001"
    assert three.place("l", labels=["storage", "training"]).action == "hold"


def status(cluster: Cluster) -> dict[str, str]:
    return {node["name"]: node["status"] for node in cluster.ufm.view(cluster.clock.now())["nodes"]}


async def test_a_node_that_leaves_gets_no_more_work_and_is_forgotten_once_it_has_left(three: Cluster) -> None:
    three.words["n001"] = {"leaving": True}
    await three.pass_time(1)
    assert status(three) == {"n000": "up", "n001": "leaving", "n002": "up"}
    assert {three.place(f"j{i}", gpus=1).args.get("node") for i in range(5)} == {"n000", "n002", None}
    labels = {"alertname": "NodeDown", "severity": "critical", "instance": "n001:9100"}
    alert = {"status": "firing", "fingerprint": "0" * 16, "labels": labels, "started": "2026-01-01T00:00:00+00:00"}
    (replies,) = three.federation.post([Event("alert", "test", "elias.alert", "NodeDown#00000000", None, alert)])
    assert isinstance(replies, list)  # an alert about it is a question like any other
    three.words["n001"] = {"leaving": True, "left": True}
    await three.pass_time(2)
    assert "n001" not in three.ufm.health.of  # also where it says so twice
    three.alive.discard("n001")
    await three.pass_time(20)
    assert status(three) == {"n000": "up", "n002": "up"}
    assert three.answers("drain") == []  # nobody misses it


async def test_what_a_node_measured_before_it_left_does_not_bring_it_back(three: Cluster) -> None:
    three.federation.report("ufm", [three._report("n001") | {"leaving": True, "left": True, "measured": 20.0}])
    three.federation.tick()
    three.federation.report("ufm", [three._report("n001") | {"measured": 19.0}])
    three.federation.tick()
    assert "n001" not in status(three)
    three.federation.report("ufm", [three._report("n001") | {"measured": 21.0}])
    three.federation.tick()
    assert status(three)["n001"] == "up"


async def test_a_drained_node_is_drained_when_it_comes_back_for_its_agent_keeps_the_cordon(three: Cluster) -> None:
    three.mode("ufm.node_health/drain", "act")
    three.alive.discard("n001")
    await three.pass_time(15)
    assert status(three)["n001"] == "drained"
    three.alive.add("n001")
    three.words["n001"] = {"leaving": True, "left": True}
    three.federation.report("ufm", [three._report("n001")])
    three.federation.tick()
    assert "n001" not in status(three)
    del three.words["n001"]
    await three.pass_time(1)
    assert status(three)["n001"] == "drained"


async def test_a_job_that_its_node_refused_for_it_leaves_is_placed_elsewhere(three: Cluster) -> None:
    reply = three.place("j", gpus=1)
    three.words[reply.args["node"]] = {"leaving": True}
    await three.pass_time(0)
    three.federation.report("ufm", [three._report(reply.args["node"])])
    three.federation.outcome(reply.id, Outcome("refused", "the node leaves the cluster", {"leaving": True}))
    await three.pass_time(2)
    placed = {order.args["node"] for order in three.runs.orders if order.subject == "j" and order.decision != reply.id}
    assert len(placed) == 1
    assert reply.args["node"] not in placed


async def test_a_node_that_stays_after_all_gets_work_again_and_so_does_one_that_comes_back(three: Cluster) -> None:
    for words in ({"leaving": True}, {"leaving": True, "left": True}):
        three.words["n001"] = words
        await three.pass_time(1)
        del three.words["n001"]
        await three.pass_time(1)
        assert (status(three)["n001"], three.ufm.fleet.nodes["n001"].schedulable) == ("up", True)


async def test_what_a_node_had_when_it_left_begins_anew_elsewhere_if_it_can(three: Cluster) -> None:
    placed = {job: three.place(job, gpus=2, restartable=job == "again") for job in ("again", "once")}
    gone = {str(reply.args["node"]) for reply in placed.values()}
    three.words |= {node: {"leaving": True, "left": True} for node in gone}
    three.federation.report("ufm", [three._report(node) for node in sorted(gone)])
    three.alive -= gone
    await three.pass_time(2)
    (stays,) = three.alive
    assert [(order.subject, order.args["node"]) for order in three.runs.orders] == [("again", stays)]
    assert three.ufm.state.running == {}


async def test_a_job_that_waited_is_placed_when_room_appears(three: Cluster) -> None:
    for i in range(3):
        three.place(f"j{i}", gpus=2)
    assert three.place("late", gpus=1).action == "hold"
    await three.federation.act()
    await three.pass_time(1)
    await three.federation.act()
    assert "late" in {o.subject for o in three.runs.orders}


async def test_restartable_jobs_of_a_node_that_is_gone_run_elsewhere(three: Cluster) -> None:
    three.mode("ufm.node_health/drain", "act")
    reply = three.place("j", gpus=1, restartable=True)
    three.alive.discard(reply.args["node"])
    three.federation.outcome(reply.id, UNKNOWN)
    await three.pass_time(15)
    (ran,) = [order for order in three.runs.orders if order.subject == "j"]
    assert ran.args["node"] != reply.args["node"]


async def test_what_runs_on_a_silent_node_is_not_started_again_until_it_is_known_to_be_gone(three: Cluster) -> None:
    three.mode("ufm.node_health/drain", "act")
    reply = three.place("j", gpus=1, restartable=True)
    three.alive.discard(reply.args["node"])
    await three.pass_time(15)
    assert not three.ufm.fleet.nodes[reply.args["node"]].schedulable
    assert three.ufm.state.running["j"].placement == reply.id
    three.federation.outcome(reply.id, UNKNOWN)
    await three.pass_time(1)
    (ran,) = [order for order in three.runs.orders if order.subject == "j"]
    assert ran.args["node"] != reply.args["node"]


@pytest.mark.parametrize("restartable", [True, False])
async def test_a_job_of_which_nobody_knows_holds_its_place_until_its_node_does_not_run_it(
    three: Cluster, restartable: bool
) -> None:
    reply = three.place("j", gpus=2, restartable=restartable)
    three.jobs[reply.args["node"]] = [{"id": "j", "since": reply.id}]
    three.federation.outcome(reply.id, UNKNOWN)
    await three.pass_time(3)
    assert three.ufm.state.running["j"].placement == reply.id
    three.jobs.clear()
    await three.pass_time(3)
    assert "j" not in three.ufm.state.running
    assert "j" not in three.ufm.fleet.allocations
    assert len([order for order in three.runs.orders if order.subject == "j"]) == int(restartable)


async def test_a_node_that_is_not_heard_is_not_chosen(three: Cluster) -> None:
    three.alive = {"n001"}
    await three.pass_time(5)
    assert [three.place(f"j{i}", gpus=1).args["node"] for i in range(2)] == ["n001", "n001"]
    assert three.place("late", gpus=1).action == "hold"
    three.alive = {"n000", "n001", "n002"}
    await three.pass_time(2)
    assert "late" in {order.subject for order in three.runs.orders}


async def test_what_a_lost_node_says_late_of_a_job_changes_nothing_where_it_runs_now(
    three: Cluster,
) -> None:
    three.mode("ufm.node_health/drain", "act")
    lost = three.place("j", gpus=2, restartable=True)
    three.alive.discard(lost.args["node"])
    three.federation.outcome(lost.id, UNKNOWN)
    while three.ufm.state.running["j"].placement == lost.id:
        await three.pass_time(1)
    elsewhere = three.ufm.fleet.allocations["j"].node
    assert elsewhere != lost.args["node"]
    late = Entry(Kind.OUTCOME, "ufm.placement", "j", lost.id, encode(Outcome("failed", "the agent came back")))
    three.federation.desks["ufm"].take(late)
    assert three.ufm.fleet.allocations["j"].node == elsewhere


@pytest.mark.parametrize(
    ("needs", "held"),
    [
        ({"memory": "8GB"}, (0, 8 * 10**9)),
        ({"gpu_share": 0.5, "memory": "2GiB"}, (500, 2 * GIB)),
        ({"gpu_share": 0.0001}, (1, GIB)),
        ({"gpu_share": 0, "gpus": 2}, (2000, GIB)),
        ({"gpus": None, "labels": None, "priority": None}, (0, GIB)),
    ],
    ids=["memory", "share", "smallest", "whole", "nulls"],
)
async def test_what_a_job_asks_for_is_what_it_holds(
    three: Cluster, needs: dict[str, Any], held: tuple[int, int]
) -> None:
    three.place("j", **needs)
    here = three.ufm.fleet.allocations["j"]
    assert (len(here.gpus) * here.gpu_milli, here.memory) == held


def test_a_request_with_the_same_key_is_routed_to_the_same_node(three: Cluster) -> None:
    def route(key: str, id: str) -> str:
        event = Event(id, "test", "elias.request.route", key, None, {})
        (replies,) = three.federation.post([event])
        assert isinstance(replies, list)
        return str(replies[0].args["node"])

    assert {route("alice", str(i)) for i in range(5)} == {route("alice", "again")}
    assert len({route(f"user{i}", f"u{i}") for i in range(30)}) == 3


@pytest.mark.parametrize("kind", ["elias.job.placement", "elias.request.route", "elias.job.unplaced"])
@pytest.mark.parametrize(
    "nonsense",
    [{"cpus": "many"}, {"cpus": float("inf")}, {"memory": "8 GBs"}, {"gpus": 65}, {"labels": 5}, {"hops": 5}],
    ids=["words", "infinite", "unit", "gpus", "labels", "hops"],
)
def test_nonsense_in_a_request_is_refused_with_the_cure(three: Cluster, kind: str, nonsense: dict[str, Any]) -> None:
    (refused,) = three.federation.post([Event("x", "test", kind, "x", None, {"command": ["true"], **nonsense})])
    assert not isinstance(refused, list)
    assert (refused.status, refused.code) == (422, "bad-job")
    assert refused.cure


async def test_a_name_whose_job_was_lost_is_placed_again_once_that_has_ended(three: Cluster) -> None:
    lost = three.place("j", gpus=2)
    three.federation.outcome(lost.id, UNKNOWN)
    assert three.place("j", "again", gpus=2).action == "hold"  # it may still run
    told = Entry(Kind.OUTCOME, "ufm.placement", "j", lost.id, encode(Outcome("done")))
    three.federation.desks["ufm"].take(told)
    await three.pass_time(1)
    assert [order.decision != lost.id for order in three.runs.orders if order.subject == "j"][-1:] == [True]
