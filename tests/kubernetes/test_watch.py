"""UFM with a Kubernetes: what it knows, what it decides, and what comes of it. Time is virtual; the API server is a
stand-in (`apiserver`)."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from federation.effects import Doer, FreezeFlag
from federation.settings import Cap
from managers.ufm.kubernetes.api import Kubernetes
from managers.ufm.kubernetes.doing import KubeDrain
from tests.kubernetes.apiserver import ApiServer
from tests.kubernetes.conftest import settings_for
from tests.kubernetes.objects import Budget
from tests.watching import CHECK, Watching

_EXECUTORS = (("node.cordon", True), ("node.uncordon", False))


def watching(folder: Path, api: ApiServer, caps: tuple[Cap, ...] = (), patience: float = 300.0) -> Watching:
    """Acting."""
    known = settings_for(api, update=True, evict=("controlled",), patience=patience)

    def doers(frozen: FreezeFlag) -> Mapping[str, Doer]:
        return {name: KubeDrain(known, on, frozen, 0.05) for name, on in _EXECUTORS}

    told = known.model_copy(update={"every": CHECK})
    watch = Watching(folder, "kubernetes", told, lambda: Kubernetes(known), doers, caps)
    watch.set_mode("act")
    return watch


@pytest.fixture
def watch(tmp_path: Path, api: ApiServer) -> Iterator[Watching]:
    with closing(watching(tmp_path, api)) as watch:
        yield watch


async def test_nodes_of_kubernetes_are_shown_with_what_they_have(watch: Watching) -> None:
    await watch.look()
    node = watch.node()
    assert (node["source"], node["status"], node["missed"], node["report"]["running"]) == ("kubernetes", "up", 0, 3)
    assert (node["cpus"], node["gpus"], node["gpu_free"]) == (7.91, 8, 6)
    assert watch.view()["kubernetes"] == {"problem": "", "running": 4, "pending": 0}
    assert watch.view()["slurm"] is None


async def test_a_silent_node_is_emptied_and_brought_back_when_it_answers(watch: Watching, api: ApiServer) -> None:
    await watch.look()
    api.condition("a1", "Ready", "Unknown")
    await watch.look(2)
    assert not api.cordoned("a1")
    assert watch.node()["status"] == "down"
    await watch.look()
    assert watch.answers() == [("kubernetes:a1", "drain", "act")]
    assert (api.cordoned("a1"), "web-1" in api.on("a1")) == (True, False)
    await watch.look(2)
    assert watch.node()["status"] == "drained"
    api.condition("a1", "Ready", "True")
    await watch.look(2)
    assert watch.answers()[1:] == [("kubernetes:a1", "readmit", "act")]
    assert not api.cordoned("a1")
    await watch.look(3)
    assert (watch.node()["status"], len(watch.answers())) == ("up", 2)


async def test_the_outcome_of_a_drain_names_who_held_out(tmp_path: Path, api: ApiServer) -> None:
    with closing(watching(tmp_path, api, patience=1.0)) as watch:
        api.budgets.append(Budget("web", "default", "web", healthy=2))
        await watch.look()
        api.condition("a1", "Ready", "False")
        await watch.look(3)
        (outcome,) = watch.outcomes()
        assert (outcome.status, outcome.data["held"]) == ("failed", ["default/web-1"])


async def test_what_a_person_cordoned_is_not_asked_about(watch: Watching, api: ApiServer) -> None:
    await watch.look()
    api.kubectl("a1", cordon=True)
    api.condition("a1", "Ready", "Unknown")
    await watch.look(4)
    assert (watch.answers(), watch.node()["status"], watch.node()["report"]["by"]) == ([], "held", "kubectl-cordon")


async def test_a_cap_may_count_by_zone(tmp_path: Path, api: ApiServer) -> None:
    none_at_all = Cap(action="ufm.node_health/drain", per="zone", at_most=0, within=3600)
    with closing(watching(tmp_path, api, (none_at_all,))) as watch:
        await watch.look()
        api.condition("a1", "Ready", "Unknown")
        await watch.look(4)
        assert not api.cordoned("a1")


async def test_while_kubernetes_is_away_nothing_is_known_and_nothing_is_done(watch: Watching, api: ApiServer) -> None:
    await watch.look()
    api.condition("a1", "Ready", "Unknown")
    await watch.look(2)
    api.token = "another"
    await watch.look(3)
    assert (watch.node()["status"], watch.answers()) == ("unknown", [])
    (problem,) = watch.view()["problems"]
    assert problem.startswith("Kubernetes is out of sight, and nothing is known of its nodes: the API server says: Un")
