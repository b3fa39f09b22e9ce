"""UFM with a real Slurm: what it knows, what it decides, and what comes of it. Time is virtual, Slurm is not."""

from collections.abc import Iterator, Mapping
from contextlib import closing, nullcontext
from pathlib import Path

import msgspec
import pytest

from federation.clock import SECOND
from federation.effects import Doer, FreezeFlag
from federation.gate import freeze_entry
from federation.records import Event
from federation.settings import Cap, Settings, SlurmSettings
from managers.ufm.foreign.doing import Drain
from managers.ufm.manager import Ufm
from managers.ufm.slurm.commands import Slurm
from tests.e2e.waiting import until
from tests.slurm.cluster import Cluster
from tests.watching import CHECK, Watching


def watching(folder: Path, cluster: Cluster, caps: tuple[Cap, ...] = ()) -> Watching:
    settings = SlurmSettings(enabled=True, conf=cluster.conf, update=("scontrol",), timeout=20.0)
    slurm = Slurm(settings)

    def doers(_: FreezeFlag) -> Mapping[str, Doer]:
        return {"node.cordon": Drain(slurm, True), "node.uncordon": Drain(slurm, False)}

    return Watching(folder, "slurm", settings, lambda: nullcontext(slurm), doers, caps)


@pytest.fixture
def watch(tmp_path: Path, slurm: Cluster) -> Iterator[Watching]:
    with closing(watching(tmp_path, slurm)) as watch:
        yield watch


def silence(slurm: Cluster) -> None:
    slurm.kill("a1")
    until(lambda: "NOT_RESPONDING" in slurm.states()["a1"])


def back(slurm: Cluster) -> None:
    slurm.start("a1")
    until(lambda: "NOT_RESPONDING" not in slurm.states()["a1"])


async def test_nodes_of_slurm_are_shown_with_what_they_have(watch: Watching) -> None:
    await watch.look()
    node = watch.node()
    assert (node["source"], node["status"], node["missed"]) == ("slurm", "up", 0)
    assert (node["cpus"], node["memory"], node["gpus"], node["gpu_free"], node["model"]) == (1, 500 << 20, 2, 2, "h100")
    assert node["report"]["labels"] == ["main", "big"]
    assert watch.view()["slurm"] == {"problem": "", "running": 0, "pending": 0}


async def test_no_job_of_elias_is_placed_on_a_node_of_slurm(watch: Watching) -> None:
    await watch.look()
    for number, asks in enumerate(({"cpus": 1}, {"cpus": 1, "gpus": 1}, {"node": "slurm:a1"}, {"labels": ["main"]})):
        ((reply,),) = watch.federation.post(  # type: ignore[misc]
            [Event(f"e{number}", "test", "elias.job.placement", f"j{number}", None, asks)]
        )
        assert reply.args.get("node") in ("head", None)


async def test_a_silent_node_is_drained_in_slurm_and_brought_back_when_it_answers(
    watch: Watching, slurm: Cluster
) -> None:
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


async def test_by_default_it_is_only_said_what_would_be_done(watch: Watching, slurm: Cluster) -> None:
    await watch.look()
    silence(slurm)
    await watch.look(4)
    assert watch.answers() == [("slurm:a1", "drain", "observe")]
    assert "DRAIN" not in slurm.states()["a1"]


async def test_a_frozen_federation_drains_nothing(watch: Watching, slurm: Cluster) -> None:
    watch.set_mode("act")
    watch.federation.note(freeze_entry(True, "olga", "maintenance"))
    await watch.look()
    silence(slurm)
    await watch.look(4)
    assert watch.answers() == [("slurm:a1", "drain", "act")]
    assert "DRAIN" not in slurm.states()["a1"]


async def test_what_a_person_drained_is_not_asked_about(watch: Watching, slurm: Cluster) -> None:
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


async def test_a_node_that_was_silent_before_anybody_watched_is_left_to_people(watch: Watching, slurm: Cluster) -> None:
    watch.set_mode("act")
    silence(slurm)
    await watch.look(5)
    assert watch.answers() == []
    back(slurm)
    await watch.look(1)
    silence(slurm)
    await watch.look(3)
    assert watch.answers() == [("slurm:a1", "drain", "act")]


async def test_one_look_is_one_check_however_often_time_is_looked_at(watch: Watching, slurm: Cluster) -> None:
    await watch.look()
    silence(slurm)
    await watch.look()
    for _ in range(5):
        watch.clock.advance(CHECK)
        watch.federation.tick()
    assert watch.node()["missed"] == 1


async def test_while_slurm_is_away_nothing_is_known_and_nothing_is_done(watch: Watching, slurm: Cluster) -> None:
    watch.set_mode("act")
    await watch.look()
    silence(slurm)
    await watch.look(2)
    slurm.stop_controller()
    await watch.look(3)
    view = watch.view()
    assert watch.node()["status"] == "unknown"
    assert "scontrol" in view["slurm"]["problem"]
    assert view["slurm"]["running"] is None
    assert watch.answers() == []
    assert watch.ufm.slurm.facts("slurm:a1", watch.clock.now()) == {}


async def test_an_agent_that_tells_nothing_any_more_leaves_nothing_known(watch: Watching) -> None:
    await watch.look()
    watch.clock.advance(61)
    assert watch.node()["status"] == "unknown"
    assert watch.view()["slurm"]["problem"] == "head has not told of it for 61 s"
    assert watch.ufm.slurm.facts("slurm:a1", watch.clock.now()) == {}


async def test_a_node_that_slurm_has_no_more_is_forgotten(watch: Watching) -> None:
    await watch.look()
    picture = await Slurm(watch.settings.slurm).look()
    left = msgspec.structs.replace(picture, nodes=tuple(node for node in picture.nodes if node.name != "a1"))
    watch.tell(left)
    assert [n["name"] for n in watch.view()["nodes"]] == ["head", "slurm:a2"]


async def test_a_cap_may_count_by_partition(tmp_path: Path, slurm: Cluster) -> None:
    none_at_all = Cap(action="ufm.node_health/drain", per="partition", at_most=0, within=3600)
    with closing(watching(tmp_path, slurm, (none_at_all,))) as watch:
        watch.set_mode("act")
        await watch.look()
        silence(slurm)
        await watch.look(4)
        assert watch.answers() == [("slurm:a1", "drain", "act")]
        (withheld,) = watch.federation.gate.state.waiting.values()
        assert withheld.effect.reason == "cap: 0 per partition within 3600 s are reached"
        assert "DRAIN" not in slurm.states()["a1"]


def test_where_slurm_is_not_watched_nothing_is_said_of_it(tmp_path: Path) -> None:
    assert Ufm(Settings(state=tmp_path)).view(SECOND)["slurm"] is None
