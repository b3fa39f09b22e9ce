"""Cordons, drains and evictions at an API server, and what is said of each. The server is a stand-in (`apiserver`)."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from federation.effects import FreezeFlag
from managers.ufm.foreign.node import Status
from managers.ufm.kubernetes.api import Kubernetes
from managers.ufm.kubernetes.doing import KubeDrain
from managers.ufm.kubernetes.node import MARK, KubeNode
from tests.kubernetes.apiserver import ALL, READ, ApiServer, Busy, Rules
from tests.kubernetes.conftest import settings_for
from tests.kubernetes.objects import Answer, Budget
from tests.watching import Ordered

FIRST, SECOND_ONE = "0" * 32, "1" * 32
PAGE = Path(__file__).resolve().parents[2] / "docs" / "kubernetes.md"


class Head(Ordered):
    """The agent of the head: what it does with orders."""

    def __init__(self, folder: Path, api: ApiServer, **more: Any) -> None:
        self.settings = settings_for(api, **{"update": True, **more})
        self.frozen = FreezeFlag(folder)
        again = 0.05
        self.drain = KubeDrain(self.settings, True, self.frozen, again)
        self.resume = KubeDrain(self.settings, False, self.frozen, again)
        doers = {"node.cordon": self.drain, "node.uncordon": self.resume}
        super().__init__("kubernetes", folder, doers, self.frozen)

    async def node(self) -> KubeNode:
        async with Kubernetes(self.settings) as cluster:
            return await cluster.node("a1")


@pytest.fixture
def head(tmp_path: Path, api: ApiServer) -> Head:
    return Head(tmp_path, api)


@pytest.fixture
def evicting(tmp_path: Path, api: ApiServer) -> Head:
    return Head(tmp_path, api, evict=("controlled",))


@pytest.fixture
def impatient(tmp_path: Path, api: ApiServer) -> Head:
    """Who gives up after a second what a patient one would wait for."""
    return Head(tmp_path, api, evict=("controlled",), patience=1.0)


async def test_a_drain_cordons_and_names_its_decision_and_pods_go_on(head: Head, api: ApiServer) -> None:
    assert (await head.perform("node.cordon", FIRST)).status == "done"
    node = await head.node()
    assert (node.status, node.mark, node.reason) == (Status.DRAINED, FIRST, f"elias {FIRST}")
    assert api.on("a1") == {"web-1", "agent-1", "proxy-a1", "over"}


async def test_what_elias_cordoned_it_brings_back_and_leaves_no_trace(head: Head, api: ApiServer) -> None:
    await head.perform("node.cordon", FIRST)
    outcome = await head.perform("node.uncordon", SECOND_ONE)
    assert (outcome.status, (await head.node()).status) == ("done", Status.UP)
    assert MARK not in api.objects["nodes"]["a1"]["metadata"]["annotations"]


async def test_what_a_person_cordoned_is_neither_drained_nor_brought_back(evicting: Head, api: ApiServer) -> None:
    api.kubectl("a1", cordon=True)
    for executor, decision in (("node.cordon", FIRST), ("node.uncordon", SECOND_ONE)):
        outcome = await evicting.perform(executor, decision)
        assert outcome.status == "refused"
        assert outcome.detail == "it is Ready,SchedulingDisabled, and not by ELIAS (kubectl-cordon: cordoned)"
    assert api.cordoned("a1")
    assert "web-1" in api.on("a1")


def _anew(api: ApiServer) -> None:
    api.kubectl("a1", cordon=False)
    api.kubectl("a1", cordon=True)


@pytest.mark.parametrize(
    "takes_over",
    [_anew, lambda api: api.annotate("a1", MARK, None), lambda api: api.annotate("a1", MARK, "broken fan")],
    ids=["cordons it anew", "takes the mark away", "writes another mark"],
)
async def test_a_cordon_that_a_person_took_over_stays(
    head: Head, api: ApiServer, takes_over: Callable[[ApiServer], None]
) -> None:
    await head.perform("node.cordon", FIRST)
    takes_over(api)
    assert (await head.perform("node.uncordon", SECOND_ONE)).status == "refused"
    assert api.cordoned("a1")


async def test_what_somebody_changes_between_look_and_change_is_left_to_them(head: Head, api: ApiServer) -> None:
    def meddle(verb: str, resource: str) -> None:
        if verb == "patch":
            api.before = lambda *_: None
            api.kubectl("a1", cordon=True)

    api.before = meddle
    outcome = await head.perform("node.cordon", FIRST)
    assert (outcome.status, outcome.detail) == (
        "failed",
        "somebody else changed the node at the same time; nothing was done",
    )
    assert (await head.node()).status is Status.HELD


async def test_a_silent_node_is_not_brought_back_before_it_answers(head: Head, api: ApiServer) -> None:
    api.condition("a1", "Ready", "Unknown")
    assert (await head.perform("node.cordon", FIRST)).status == "done"
    refused = await head.perform("node.uncordon", SECOND_ONE)
    assert (refused.status, refused.detail) == ("refused", "Kubernetes does not hear of it")
    api.condition("a1", "Ready", "True")
    assert (await head.perform("node.uncordon", "2" * 32)).status == "done"


async def test_without_update_nothing_is_changed(tmp_path: Path, api: ApiServer) -> None:
    outcome = await Head(tmp_path, api, update=False).perform("node.cordon", FIRST)
    assert (outcome.status, "kubernetes.update" in outcome.detail) == ("refused", True)
    assert api.requests == []


async def test_who_may_not_change_nodes_says_so(head: Head, api: ApiServer) -> None:
    api.rules = READ | {("get", "nodes")}
    outcome = await head.perform("node.cordon", FIRST)
    assert (outcome.status, api.cordoned("a1")) == ("failed", False)
    assert 'cannot patch resource "nodes"' in outcome.detail


async def test_a_change_without_an_answer_is_looked_after(head: Head, api: ApiServer) -> None:
    def lose(verb: str, resource: str) -> None:
        if verb == "patch":
            api.before = lambda *_: None
            api.patch("a1", "application/merge-patch+json", {"metadata": {"annotations": {MARK: FIRST}}}, "elias")
            api.patch("a1", "application/merge-patch+json", {"spec": {"unschedulable": True}}, "elias")
            raise ConnectionError

    api.before = lose
    outcome = await head.perform("node.cordon", FIRST)
    assert (outcome.status, outcome.detail) == ("done", "found so after an interruption")


async def test_an_interrupted_order_is_looked_up_and_not_repeated(impatient: Head, api: ApiServer) -> None:
    drain, resume = impatient.order("node.cordon", FIRST), impatient.order("node.uncordon", SECOND_ONE)
    assert (await impatient.drain.probe(drain)).status == "failed"
    assert not api.cordoned("a1")
    api.lingering.add("web-1")
    await impatient.drain.do(drain)
    half = await impatient.drain.probe(drain)
    assert (half.status, half.data["held"]) == ("failed", ["default/web-1"])
    api.end("web-1")
    assert (await impatient.drain.probe(drain)).status == "done"
    assert (await impatient.drain.probe(impatient.order("node.cordon", SECOND_ONE))).status == "failed"  # another's
    assert (await impatient.resume.probe(resume)).status == "failed"
    await impatient.resume.do(resume)
    assert (await impatient.resume.probe(resume)).status == "done"


@pytest.mark.parametrize("name", ["nowhere", "a1/status", "../pods", "a1?dryRun=All", ""])
async def test_an_order_is_about_one_node_that_kubernetes_has(head: Head, api: ApiServer, name: str) -> None:
    assert (await head.perform("node.cordon", FIRST, name)).status == "failed"
    assert not api.cordoned("a1")


async def test_pods_are_evicted_but_those_of_the_node_itself(evicting: Head, api: ApiServer) -> None:
    outcome = await evicting.perform("node.cordon", FIRST)
    assert (outcome.status, outcome.detail, outcome.data["evicted"]) == ("done", "", 1)
    assert api.on("a1") == {"agent-1", "proxy-a1", "over"}


async def test_a_budget_is_waited_for(evicting: Head, api: ApiServer) -> None:
    for number in (3, 4):
        api.pod(f"web-{number}", "a1")
    api.budgets.append(Budget("web", "default", "web", healthy=3))  # four are: one may be missing at a time
    outcome = await evicting.perform("node.cordon", FIRST)
    assert (outcome.status, outcome.data["evicted"]) == ("done", 3)
    assert api.requests.count(("create", "pods/eviction")) > 3


async def test_pods_that_hold_out_are_named_at_the_deadline(impatient: Head, api: ApiServer) -> None:
    api.pod("slow-1", "a1", app="slow")
    api.lingering.add("slow-1")
    api.budgets.append(Budget("web", "default", "web", healthy=2))
    outcome = await impatient.perform("node.cordon", FIRST)
    assert (outcome.status, outcome.data["held"]) == ("failed", ["default/slow-1", "default/web-1"])
    assert outcome.detail == (
        "it is cordoned; after 1 s; these pods are still there: default/slow-1 (it has not ended yet), "
        "default/web-1 (The disruption budget web needs 2 healthy pods and has 2 currently)"
    )
    assert api.cordoned("a1")


async def test_two_budgets_of_one_pod_are_told_of(impatient: Head, api: ApiServer) -> None:
    api.budgets += [Budget(name, "default", "web", healthy=0) for name in ("one", "two")]
    outcome = await impatient.perform("node.cordon", FIRST)
    assert "more than one PodDisruptionBudget" in outcome.detail


@pytest.mark.parametrize(
    ("evict", "left"),
    [
        (("controlled",), ["bare-1", "data-1", "lost-1"]),
        (("bare",), ["data-1", "lost-1", "web-1"]),
        (("controlled", "bare"), ["data-1", "lost-1"]),
        (("controlled", "local"), ["bare-1", "lost-1"]),
        (("controlled", "bare", "local"), []),
    ],
    ids="+".join,
)
async def test_what_the_settings_do_not_name_stays(
    tmp_path: Path, api: ApiServer, evict: tuple[str, ...], left: list[str]
) -> None:
    api.pod("bare-1", "a1", keeper="")
    api.pod("data-1", "a1", volumes=[{"name": "scratch", "emptyDir": {}}])
    api.pod("lost-1", "a1", keeper="", volumes=[{"name": "scratch", "emptyDir": {"medium": "Memory"}}])
    outcome = await Head(tmp_path, api, evict=evict).perform("node.cordon", FIRST)
    assert outcome.status == "done"
    assert sorted(api.on("a1") - {"agent-1", "proxy-a1", "over"}) == left
    assert re.findall(r"default/(\S+)", outcome.detail) == left


async def test_a_pod_that_took_the_name_of_another_is_not_evicted(evicting: Head, api: ApiServer) -> None:
    def swap(verb: str, resource: str) -> None:
        if verb == "create":
            api.before = lambda *_: None
            api.delete("pods", "web-1")
            api.pod("web-1", "a2")

    api.before = swap
    assert (await evicting.perform("node.cordon", FIRST)).status == "done"
    assert "web-1" in api.on("a2")


@pytest.mark.parametrize("ends", ["readmitted", "frozen"])
async def test_a_drain_stops_when_somebody_stops_it(evicting: Head, api: ApiServer, ends: str) -> None:
    api.budgets.append(Budget("web", "default", "web", healthy=2))

    def stop(verb: str, resource: str) -> None:
        if verb == "create":
            api.before = lambda *_: None
            _ = evicting.frozen.set(True, "olga") if ends == "frozen" else api.kubectl("a1", cordon=False)

    api.before = stop
    outcome = await evicting.perform("node.cordon", FIRST)
    words = {"readmitted": "its cordon was lifted or taken over meanwhile", "frozen": "effects were frozen meanwhile"}
    assert (outcome.status, words[ends] in outcome.detail) == ("failed", True)
    assert api.requests.count(("create", "pods/eviction")) == 1


async def test_whoever_asks_again_while_a_drain_goes_on_hears_how_it_ends(evicting: Head, api: ApiServer) -> None:
    api.lingering.add("web-1")
    first = asyncio.create_task(evicting.perform("node.cordon", FIRST))
    while ("create", "pods/eviction") not in api.requests:
        await asyncio.sleep(0.01)
    again = asyncio.create_task(evicting.perform("node.cordon", FIRST))
    await asyncio.sleep(0)
    api.end("web-1")
    assert [outcome.status for outcome in await asyncio.gather(first, again)] == ["done", "done"]
    assert api.requests.count(("create", "pods/eviction")) == 1


async def test_an_api_server_that_stumbles_is_asked_again(evicting: Head, api: ApiServer) -> None:
    failures, turned_away = iter([True, True]), iter([True])

    def stumble(verb: str, resource: str) -> None:
        if (verb, resource) == ("list", "pods") and next(failures, False):
            raise Answer(500, "etcdserver: leader changed")
        if verb == "create" and next(turned_away, False):
            raise Busy

    api.before = stumble
    assert (await evicting.perform("node.cordon", FIRST)).status == "done"
    assert api.requests.count(("create", "pods/eviction")) == 2


async def test_a_change_that_the_api_server_failed_at_is_not_known_to_be_undone(head: Head, api: ApiServer) -> None:
    def fail(verb: str, resource: str) -> None:
        if verb == "patch":
            raise Answer(500, "etcdserver: request timed out")

    api.before = fail
    outcome = await head.perform("node.cordon", FIRST)
    assert (outcome.status, outcome.detail) == (
        "unknown",
        "the API server says: etcdserver: request timed out (500); Kubernetes may still do it",
    )


def granted(role: str) -> Rules:
    """What a ClusterRole of the page grants."""
    fences = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    roles = [one for fence in fences for one in yaml.safe_load_all(fence) if one and one.get("kind") == "ClusterRole"]
    (found,) = [one for one in roles if one["metadata"]["name"] == role]
    assert all(
        rule.keys() == {"apiGroups", "resources", "verbs"} and rule["apiGroups"] == [""] for rule in found["rules"]
    )
    return frozenset((verb, name) for rule in found["rules"] for name in rule["resources"] for verb in rule["verbs"])


async def test_the_roles_of_the_page_are_enough_and_no_more(tmp_path: Path, api: ApiServer) -> None:
    api.rules = granted("elias-watch")
    head = Head(tmp_path, api, evict=("controlled",))
    async with Kubernetes(head.settings) as cluster:
        for _ in range(2):
            await cluster.look()
    assert api.used == api.rules
    api.rules |= granted("elias-drain")
    assert api.rules == ALL
    assert (await head.perform("node.cordon", FIRST)).status == "done"
    assert (await head.perform("node.uncordon", SECOND_ONE)).status == "done"
    assert api.used == api.rules
