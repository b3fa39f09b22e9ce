"""UFM with a Kubernetes: what it knows, what it decides, and what comes of it. Time is virtual; the API server is a
stand-in (`apiserver`)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tiki
from federation.clock import VirtualClock
from federation.effects import Executor, FreezeFlag
from federation.errors import EliasError
from federation.ledger.store import Store
from federation.local import LocalFederation, points_of
from federation.manager import Emission
from federation.points import schemas
from federation.records import Answered, Kind, Mode, Outcome, decode
from federation.settings import Cap, GateSettings, Settings, shipped_specs
from managers.ufm.kubernetes.api import Kubernetes
from managers.ufm.kubernetes.doing import KubeDrain
from managers.ufm.manager import Ufm
from tests.kubernetes.apiserver import ApiServer, Budget
from tests.kubernetes.conftest import settings_for

CHECK = 30.0  # seconds between two checks of a node, as the shipped specs say


class Watch:
    """UFM with one node of its own, the head, whose agent watches Kubernetes."""

    def __init__(self, folder: Path, api: ApiServer, caps: tuple[Cap, ...] = (), patience: float = 300.0) -> None:
        self.known = settings_for(api, update=True, evict=("controlled",), patience=patience)
        told = self.known.model_copy(update={"every": CHECK})
        self.settings = Settings(state=folder, kubernetes=told, gate=GateSettings(caps=caps))
        self.clock, self.store = VirtualClock(), Store.open(f"sqlite:///{folder / 'ledger.db'}")
        self.ufm = Ufm(self.settings)
        sources = [s for s in tiki.read_directory(shipped_specs()) if s.path.partition("/")[0] in ("ufm", "gate")]
        bundle, frozen = tiki.build(sources, schemas(points_of([Ufm]))), FreezeFlag(folder)
        doers = {name: KubeDrain(self.known, on, frozen, 0.05) for name, on in _EXECUTORS}
        executor = Executor(folder / "effects.db", doers, self.clock, frozen)
        self.federation = LocalFederation([self.ufm], bundle, self.store, self.clock, self.settings, {"head": executor})
        for action in ("drain", "readmit"):
            mode = Mode(f"ufm.node_health/{action}", "act", "olga")
            self.federation.note(Emission(Kind.MODE, "", "", "", mode))

    async def look(self, times: int = 1) -> None:
        """So many looks of the head's agent, each as far from the one before as two checks, and what follows."""
        for _ in range(times):
            self.clock.advance(CHECK)
            picture, problem = None, ""
            async with Kubernetes(self.known) as cluster:
                try:
                    picture = await cluster.look()
                except EliasError as error:
                    problem = str(error)
            own = {"node": "head", "cpus": 8, "memory_total": 1 << 34}
            seen = {"node": "head", "kubernetes": msgspec.to_builtins(picture), "problem": problem}
            self.federation.report("ufm", [own, seen])
            self.federation.tick()
            await self.federation.act()

    def answers(self) -> list[tuple[str, str]]:
        found = []
        for record in self.store.read(kinds=[Kind.ANSWERED], points=["ufm.node_health"]):
            answered: Answered = decode(Kind.ANSWERED, record.body)
            if record.header.subject.startswith("kubernetes:") and answered.action != "hold":
                found.append((record.header.subject, answered.action))
        return found

    def outcomes(self) -> list[Outcome]:
        return [decode(Kind.OUTCOME, record.body) for record in self.store.read(kinds=[Kind.OUTCOME])]

    def view(self) -> dict[str, Any]:
        return self.ufm.view(self.clock.now())

    def node(self, name: str = "kubernetes:a1") -> dict[str, Any]:
        found: dict[str, Any] = next(node for node in self.view()["nodes"] if node["name"] == name)
        return found


_EXECUTORS = (("node.cordon", True), ("node.uncordon", False))


@pytest.fixture
def watch(tmp_path: Path, api: ApiServer) -> Iterator[Watch]:
    watch = Watch(tmp_path, api)
    yield watch
    watch.store.close()


async def test_nodes_of_kubernetes_are_shown_with_what_they_have(watch: Watch) -> None:
    await watch.look()
    node = watch.node()
    assert (node["source"], node["status"], node["missed"], node["report"]["running"]) == ("kubernetes", "up", 0, 3)
    assert (node["cpus"], node["gpus"], node["gpu_free"]) == (7.91, 8, 6)
    assert watch.view()["kubernetes"] == {"problem": "", "running": 4, "pending": 0}
    assert watch.view()["slurm"] is None


async def test_a_silent_node_is_emptied_and_brought_back_when_it_answers(watch: Watch, api: ApiServer) -> None:
    await watch.look()
    api.condition("a1", "Ready", "Unknown")
    await watch.look(2)
    assert not api.cordoned("a1")
    assert watch.node()["status"] == "down"
    await watch.look()
    assert watch.answers() == [("kubernetes:a1", "drain")]
    assert (api.cordoned("a1"), "web-1" in api.on("a1")) == (True, False)
    await watch.look(2)
    assert watch.node()["status"] == "drained"
    api.condition("a1", "Ready", "True")
    await watch.look(2)
    assert watch.answers()[1:] == [("kubernetes:a1", "readmit")]
    assert not api.cordoned("a1")
    await watch.look(3)
    assert (watch.node()["status"], len(watch.answers())) == ("up", 2)


async def test_the_outcome_of_a_drain_names_who_held_out(tmp_path: Path, api: ApiServer) -> None:
    watch = Watch(tmp_path, api, patience=1.0)
    api.budgets.append(Budget("web", "default", "web", healthy=2))
    await watch.look()
    api.condition("a1", "Ready", "False")
    await watch.look(3)
    (outcome,) = watch.outcomes()
    assert (outcome.status, outcome.data["held"]) == ("failed", ["default/web-1"])
    watch.store.close()


async def test_what_a_person_cordoned_is_not_asked_about(watch: Watch, api: ApiServer) -> None:
    await watch.look()
    api.kubectl("a1", cordon=True)
    api.condition("a1", "Ready", "Unknown")
    await watch.look(4)
    assert (watch.answers(), watch.node()["status"], watch.node()["report"]["by"]) == ([], "held", "kubectl-cordon")


async def test_a_cap_may_count_by_zone(tmp_path: Path, api: ApiServer) -> None:
    none_at_all = Cap(action="ufm.node_health/drain", per="zone", at_most=0, within=3600)
    watch = Watch(tmp_path, api, (none_at_all,))
    await watch.look()
    api.condition("a1", "Ready", "Unknown")
    await watch.look(4)
    assert not api.cordoned("a1")
    watch.store.close()


async def test_while_kubernetes_is_away_nothing_is_known_and_nothing_is_done(watch: Watch, api: ApiServer) -> None:
    await watch.look()
    api.condition("a1", "Ready", "Unknown")
    await watch.look(2)
    api.token = "another"
    await watch.look(3)
    assert (watch.node()["status"], watch.answers()) == ("unknown", [])
    (problem,) = watch.view()["problems"]
    assert problem.startswith("Kubernetes is out of sight, and nothing is known of its nodes: the API server says: Un")
