"""Drains and resumes of a real Slurm, and what is said of each."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from federation.clock import SECOND
from federation.effects import Doer, FreezeFlag, Order
from federation.settings import SlurmSettings
from managers.ufm.cordon import Cordon, Cordons
from managers.ufm.foreign.doing import Drain, Either, Elsewhere
from managers.ufm.foreign.node import Status
from managers.ufm.slurm.commands import Slurm
from managers.ufm.slurm.node import SLURM, SlurmNode, reason
from tests.e2e.waiting import until
from tests.slurm.cluster import Cluster
from tests.watching import Ordered

FIRST, SECOND_ONE = "0" * 32, "1" * 32


class Head(Ordered):
    """The agent of a node that has Slurm's commands: what it does with orders."""

    def __init__(self, folder: Path, cluster: Cluster, **settings: Any) -> None:
        settings = {"update": ("scontrol",), **settings}
        self.slurm = Slurm(SlurmSettings(enabled=True, conf=cluster.conf, **settings))
        self.drain, self.resume = Drain(self.slurm, True), Drain(self.slurm, False)
        cordons = Cordons(folder / "cordons")
        doers: dict[str, Doer] = {
            "node.cordon": Either(Cordon(cordons, True), {"slurm": self.drain}),
            "node.uncordon": Either(Cordon(cordons, False), {"slurm": self.resume}),
        }
        self.cordons = cordons
        super().__init__("slurm", folder, doers, FreezeFlag(folder))

    async def node(self, name: str = "a1") -> SlurmNode:
        return await self.slurm.node(name)


@pytest.fixture
def head(tmp_path: Path, slurm: Cluster) -> Head:
    return Head(tmp_path, slurm)


def person(slurm: Cluster, why: str, state: str = "drain") -> None:
    slurm.run("scontrol", "update", "nodename=a1", f"state={state}", f"reason={why}")


async def test_a_drain_names_its_decision_and_lets_jobs_go_on(head: Head, slurm: Cluster) -> None:
    job = slurm.run("sbatch", "--parsable", "--nodelist=a1", "--output=/dev/null", "--wrap=sleep 6000").strip()
    until(lambda: slurm.run("squeue", "--noheader", "--format=%T", f"--jobs={job}").strip() == "RUNNING")
    assert (await head.perform("node.cordon", FIRST)).status == "done"
    node = await head.node()
    assert (node.status, node.reason, "DRAIN" in node.states) == (Status.DRAINED, reason(FIRST), True)
    (seen,) = [node for node in (await head.slurm.look()).nodes if node.name == "a1"]
    assert (seen.jobs, seen.cpus_used) == (1, 1)
    slurm.run("scancel", job)


async def test_what_elias_drained_it_brings_back(head: Head, slurm: Cluster) -> None:
    await head.perform("node.cordon", FIRST)
    outcome = await head.perform("node.uncordon", SECOND_ONE)
    assert (outcome.status, (await head.node()).status) == ("done", Status.UP)
    until(lambda: slurm.states()["a1"] == "IDLE")


async def test_what_a_person_drained_is_neither_drained_nor_brought_back(head: Head, slurm: Cluster) -> None:
    person(slurm, "disk broken")
    for executor, decision in (("node.cordon", FIRST), ("node.uncordon", SECOND_ONE)):
        outcome = await head.perform(executor, decision)
        assert outcome.status == "refused"
        assert "disk broken" in outcome.detail
    node = await head.node()
    assert (node.reason, node.status) == ("disk broken", Status.HELD)


@pytest.mark.parametrize("words", ["disk broken", f"{reason(FIRST)} and it smokes"])
async def test_a_drain_that_a_person_took_over_stays(head: Head, slurm: Cluster, words: str) -> None:
    await head.perform("node.cordon", FIRST)
    person(slurm, words)
    assert (await head.perform("node.uncordon", SECOND_ONE)).status == "refused"
    assert (await head.node()).reason == words


async def test_what_a_person_took_down_keeps_its_reason(head: Head, slurm: Cluster) -> None:
    person(slurm, "being moved", "down")
    assert (await head.perform("node.cordon", FIRST)).status == "refused"
    assert (await head.node()).reason == "being moved"


async def test_a_second_drain_leaves_the_first_ones_name(head: Head) -> None:
    await head.perform("node.cordon", FIRST)
    again = await head.perform("node.cordon", SECOND_ONE)
    assert (again.status, (await head.node()).reason) == ("done", reason(FIRST))


async def test_a_silent_node_is_not_brought_back_before_it_answers(head: Head, slurm: Cluster) -> None:
    slurm.kill("a1")
    until(lambda: "DOWN" in slurm.states()["a1"])
    assert (await head.perform("node.cordon", FIRST)).status == "done"
    refused = await head.perform("node.uncordon", SECOND_ONE)
    assert (refused.status, refused.detail) == ("refused", "Slurm does not hear of it")
    slurm.start("a1")
    until(lambda: "NOT_RESPONDING" not in slurm.states()["a1"])
    assert "DOWN" in (await head.node()).states  # as its reason is ours, Slurm leaves it to us
    assert (await head.perform("node.uncordon", "2" * 32)).status == "done"
    until(lambda: slurm.states()["a1"] == "IDLE")


async def test_without_a_command_that_changes_nodes_nothing_is_changed(tmp_path: Path, slurm: Cluster) -> None:
    outcome = await Head(tmp_path, slurm, update=()).perform("node.cordon", FIRST)
    assert outcome.status == "refused"
    assert "slurm.update" in outcome.detail
    assert slurm.states()["a1"] == "IDLE"


async def test_who_may_not_change_nodes_says_so(tmp_path: Path, slurm: Cluster) -> None:
    nobody = ("setpriv", "--reuid=65534", "--clear-groups", "scontrol")
    outcome = await Head(tmp_path, slurm, update=nobody).perform("node.cordon", FIRST)
    assert (outcome.status, slurm.states()["a1"]) == ("failed", "IDLE")
    assert "failed: " in outcome.detail


async def test_while_slurm_is_away_a_drain_fails_and_what_came_of_one_is_unknown(head: Head, slurm: Cluster) -> None:
    slurm.stop_controller()
    outcome = await head.perform("node.cordon", FIRST)
    assert outcome.status == "failed"
    assert outcome.detail.startswith("nothing was asked of Slurm")
    assert (await head.drain.probe(head.order("node.cordon", SECOND_ONE))).status == "unknown"


@pytest.mark.parametrize(
    ("script", "status"), [("exec sleep 600", "unknown"), ('scontrol "$@" && exec sleep 600', "done")]
)
async def test_a_command_that_does_not_end_is_looked_after(
    tmp_path: Path, slurm: Cluster, script: str, status: str
) -> None:
    head = Head(tmp_path, slurm, update=("sh", "-c", script, "sh"), timeout=8.0)
    assert (await head.perform("node.cordon", FIRST)).status == status
    assert ("DRAIN" in slurm.states()["a1"]) == (status == "done")


async def test_an_interrupted_order_is_looked_up_in_slurm_and_not_repeated(head: Head, slurm: Cluster) -> None:
    drain, resume = head.order("node.cordon", FIRST), head.order("node.uncordon", SECOND_ONE)
    assert (await head.drain.probe(drain)).status == "failed"
    assert slurm.states()["a1"] == "IDLE"
    await head.drain.do(drain)
    assert (await head.drain.probe(drain)).status == "done"
    assert (await head.drain.probe(head.order("node.cordon", SECOND_ONE))).status == "failed"  # it is another's
    assert (await head.resume.probe(resume)).status == "failed"
    await head.resume.do(resume)
    assert (await head.resume.probe(resume)).status == "done"


@pytest.mark.parametrize("name", ["ALL", "a[1-2]", "a1,a2", "--help", "nowhere"])
async def test_an_order_is_about_one_node_that_slurm_has(head: Head, slurm: Cluster, name: str) -> None:
    assert (await head.perform("node.cordon", FIRST, name)).status == "failed"
    assert slurm.states() == {"a1": "IDLE", "a2": "IDLE"}


async def test_nodes_of_elias_get_a_cordon_as_before(head: Head, slurm: Cluster) -> None:
    order = Order(FIRST, "ufm.node_health", "a1", "drain", {}, "node.cordon", 1, 1, head.clock.now() + 30 * SECOND)
    assert (await head.executor.perform(order)).data == {"cordoned": True}
    assert "a1" in head.cordons
    assert slurm.states()["a1"] == "IDLE"


async def test_a_node_that_does_not_watch_slurm_refuses() -> None:
    order = Order(FIRST, "ufm.node_health", "slurm:a1", "drain", {}, "node.cordon", 1, 1, 0, {"slurm": "a1"})
    assert (await Elsewhere(SLURM).do(order)).status == "refused"
    assert (await Elsewhere(SLURM).probe(order)).status == "unknown"


async def test_looks_do_not_wait_for_one_another(head: Head) -> None:
    looks = await asyncio.gather(*(head.slurm.look() for _ in range(8)))
    assert {tuple(node.name for node in look.nodes) for look in looks} == {("a1", "a2")}
