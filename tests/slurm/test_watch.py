"""UFM with a real Slurm: what it knows, what it decides, and what comes of it. Time is virtual, Slurm is not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tiki
from federation.clock import SECOND, VirtualClock
from federation.effects import Executor, FreezeFlag
from federation.errors import EliasError
from federation.gate import freeze_entry
from federation.ledger.store import Store
from federation.local import LocalFederation, points_of
from federation.manager import Emission
from federation.points import schemas
from federation.records import Answered, Event, Kind, Mode, decode
from federation.settings import Cap, GateSettings, Settings, SlurmSettings, shipped_specs
from managers.ufm.foreign.doing import Drain
from managers.ufm.manager import Ufm
from managers.ufm.slurm.commands import Slurm
from tests.e2e.waiting import until
from tests.slurm.cluster import Cluster

CHECK = 30.0  # seconds between two checks of a node, as the shipped specs say


class Watch:
    """UFM with one node of its own, the head, whose agent watches Slurm."""

    def __init__(self, folder: Path, cluster: Cluster, caps: tuple[Cap, ...] = ()) -> None:
        settings = SlurmSettings(enabled=True, conf=cluster.conf, update=("scontrol",), timeout=20.0)
        gate = GateSettings(caps=caps)
        self.clock, self.settings = VirtualClock(), Settings(state=folder, slurm=settings, gate=gate)
        self.store = Store.open(f"sqlite:///{folder / 'ledger.db'}")
        self.ufm, self.slurm = Ufm(self.settings), Slurm(settings)
        sources = [s for s in tiki.read_directory(shipped_specs()) if s.path.partition("/")[0] in ("ufm", "gate")]
        bundle = tiki.build(sources, schemas(points_of([Ufm])))
        doers = {"node.cordon": Drain(self.slurm, True), "node.uncordon": Drain(self.slurm, False)}
        executor = Executor(folder / "effects.db", doers, self.clock, FreezeFlag(folder))
        self.federation = LocalFederation([self.ufm], bundle, self.store, self.clock, self.settings, {"head": executor})

    def set_mode(self, mode: str) -> None:
        for action in ("drain", "readmit"):
            body = Mode(f"ufm.node_health/{action}", mode, "olga")
            self.federation.note(Emission(Kind.MODE, "", "", "", body))

    async def look(self, times: int = 1) -> None:
        """So many looks of the head's agent, each as far from the one before as two checks, and what follows."""
        for _ in range(times):
            self.clock.advance(CHECK)
            picture, problem = None, ""
            try:
                picture = await self.slurm.look()
            except EliasError as error:
                problem = str(error)
            own = {"node": "head", "cpus": 8, "memory_total": 1 << 34}
            seen = {"node": "head", "slurm": msgspec.to_builtins(picture), "problem": problem}
            self.federation.report("ufm", [own, seen])
            self.federation.tick()
            await self.federation.act()

    def answers(self) -> list[tuple[str, str, str]]:
        """Of questions about Slurm's nodes, but that there is nothing to do: node, action, mode."""
        found = []
        for record in self.store.read(kinds=[Kind.ANSWERED], points=["ufm.node_health"]):
            answered: Answered = decode(Kind.ANSWERED, record.body)
            if record.header.subject.startswith("slurm:") and answered.action != "hold":
                found.append((record.header.subject, answered.action, answered.mode))
        return found

    def node(self, name: str = "slurm:a1") -> dict[str, Any]:
        found: dict[str, Any] = next(n for n in self.ufm.view(self.clock.now())["nodes"] if n["name"] == name)
        return found


@pytest.fixture
def watch(tmp_path: Path, slurm: Cluster) -> Iterator[Watch]:
    watch = Watch(tmp_path, slurm)
    yield watch
    watch.store.close()


def silence(slurm: Cluster) -> None:
    slurm.kill("a1")
    until(lambda: "NOT_RESPONDING" in slurm.states()["a1"])


def back(slurm: Cluster) -> None:
    slurm.start("a1")
    until(lambda: "NOT_RESPONDING" not in slurm.states()["a1"])


async def test_nodes_of_slurm_are_shown_with_what_they_have(watch: Watch) -> None:
    await watch.look()
    node = watch.node()
    assert (node["source"], node["status"], node["missed"]) == ("slurm", "up", 0)
    assert (node["cpus"], node["memory"], node["gpus"], node["gpu_free"], node["model"]) == (1, 500 << 20, 2, 2, "h100")
    assert node["report"]["labels"] == ["main", "big"]
    assert watch.ufm.view(watch.clock.now())["slurm"] == {"problem": "", "running": 0, "pending": 0}


async def test_no_job_of_elias_is_placed_on_a_node_of_slurm(watch: Watch) -> None:
    await watch.look()
    for number, asks in enumerate(({"cpus": 1}, {"cpus": 1, "gpus": 1}, {"node": "slurm:a1"}, {"labels": ["main"]})):
        ((reply,),) = watch.federation.post(  # type: ignore[misc]
            [Event(f"e{number}", "test", "elias.job.placement", f"j{number}", None, asks)]
        )
        assert reply.args.get("node") in ("head", None)


async def test_a_silent_node_is_drained_in_slurm_and_brought_back_when_it_answers(watch: Watch, slurm: Cluster) -> None:
    watch.set_mode("act")
    await watch.look()
    silence(slurm)
    await watch.look(2)
    assert "DRAIN" not in slurm.states()["a1"]
    await watch.look()
    assert watch.answers() == [("slurm:a1", "drain", "act")]
    assert "DRAIN" in slurm.states()["a1"]
    await watch.look(3)
    assert watch.node()["status"] == "drained"
    back(slurm)
    await watch.look()
    assert "DRAIN" in slurm.states()["a1"]
    await watch.look()
    assert watch.answers()[1:] == [("slurm:a1", "readmit", "act")]
    until(lambda: slurm.states()["a1"] == "IDLE")
    await watch.look(3)
    assert (watch.node()["status"], len(watch.answers())) == ("up", 2)


async def test_by_default_it_is_only_said_what_would_be_done(watch: Watch, slurm: Cluster) -> None:
    await watch.look()
    silence(slurm)
    await watch.look(4)
    assert watch.answers() == [("slurm:a1", "drain", "observe")]
    assert "DRAIN" not in slurm.states()["a1"]


async def test_a_frozen_federation_drains_nothing(watch: Watch, slurm: Cluster) -> None:
    watch.set_mode("act")
    watch.federation.note(freeze_entry(True, "olga", "maintenance"))
    await watch.look()
    silence(slurm)
    await watch.look(4)
    assert watch.answers() == [("slurm:a1", "drain", "act")]
    assert "DRAIN" not in slurm.states()["a1"]


async def test_what_a_person_drained_is_not_asked_about(watch: Watch, slurm: Cluster) -> None:
    watch.set_mode("act")
    await watch.look()
    slurm.run("scontrol", "update", "nodename=a1", "state=drain", "reason=disk broken")
    silence(slurm)
    await watch.look(4)
    back(slurm)
    await watch.look(4)
    node = watch.node()
    assert (watch.answers(), node["status"], node["report"]["reason"]) == ([], "held", "disk broken")
    assert [c.action for c in watch.ufm.slurm.candidates("slurm:a1")] == ["hold"]


async def test_a_node_that_was_silent_before_anybody_watched_is_left_to_people(watch: Watch, slurm: Cluster) -> None:
    watch.set_mode("act")
    silence(slurm)
    await watch.look(5)
    assert watch.answers() == []
    back(slurm)
    await watch.look(1)
    silence(slurm)
    await watch.look(3)
    assert watch.answers() == [("slurm:a1", "drain", "act")]


async def test_one_look_is_one_check_however_often_time_is_looked_at(watch: Watch, slurm: Cluster) -> None:
    await watch.look()
    silence(slurm)
    await watch.look()
    for _ in range(5):
        watch.clock.advance(CHECK)
        watch.federation.tick()
    assert watch.node()["missed"] == 1


async def test_while_slurm_is_away_nothing_is_known_and_nothing_is_done(watch: Watch, slurm: Cluster) -> None:
    watch.set_mode("act")
    await watch.look()
    silence(slurm)
    await watch.look(2)
    slurm.stop_controller()
    await watch.look(3)
    view = watch.ufm.view(watch.clock.now())
    assert watch.node()["status"] == "unknown"
    assert "scontrol" in view["slurm"]["problem"]
    assert view["slurm"]["running"] is None
    assert watch.answers() == []
    assert watch.ufm.slurm.facts("slurm:a1", watch.clock.now()) == {}


async def test_an_agent_that_tells_nothing_any_more_leaves_nothing_known(watch: Watch) -> None:
    await watch.look()
    watch.clock.advance(61)
    assert watch.node()["status"] == "unknown"
    assert watch.ufm.view(watch.clock.now())["slurm"]["problem"] == "head has not told of it for 61 s"
    assert watch.ufm.slurm.facts("slurm:a1", watch.clock.now()) == {}


async def test_a_node_that_slurm_has_no_more_is_forgotten(watch: Watch) -> None:
    await watch.look()
    picture = await watch.slurm.look()
    left = msgspec.structs.replace(picture, nodes=tuple(node for node in picture.nodes if node.name != "a1"))
    watch.federation.report("ufm", [{"node": "head", "slurm": msgspec.to_builtins(left), "problem": ""}])
    assert [n["name"] for n in watch.ufm.view(watch.clock.now())["nodes"]] == ["head", "slurm:a2"]


async def test_a_cap_may_count_by_partition(tmp_path: Path, slurm: Cluster) -> None:
    none_at_all = Cap(action="ufm.node_health/drain", per="partition", at_most=0, within=3600)
    watch = Watch(tmp_path, slurm, (none_at_all,))
    watch.set_mode("act")
    await watch.look()
    silence(slurm)
    await watch.look(4)
    assert watch.answers() == [("slurm:a1", "drain", "act")]
    (withheld,) = watch.federation.gate.state.waiting.values()
    assert withheld.effect.reason == "cap: 0 per partition within 3600 s are reached"
    assert "DRAIN" not in slurm.states()["a1"]
    watch.store.close()


def test_where_slurm_is_not_watched_nothing_is_said_of_it(tmp_path: Path) -> None:
    assert Ufm(Settings(state=tmp_path)).view(SECOND)["slurm"] is None
