"""Looks at an API server: lists in pages, watches that go on where they were, and what is said when it cannot be asked.
The server is a stand-in (`apiserver`); the client is the official one."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from federation.errors import Temporary
from federation.settings import KubernetesSettings
from managers.ufm.kubernetes import api as requests
from managers.ufm.kubernetes import mirror
from managers.ufm.kubernetes.api import Kubernetes
from managers.ufm.kubernetes.node import KubeNode, Picture
from tests.kubernetes.apiserver import READ, ApiServer
from tests.kubernetes.conftest import settings_for
from tests.kubernetes.objects import Answer


@pytest.fixture
async def cluster(api: ApiServer) -> AsyncIterator[Kubernetes]:
    api.rules = READ
    async with Kubernetes(settings_for(api)) as found:
        yield found


def named(picture: Picture, name: str = "a1") -> KubeNode:
    return next(node for node in picture.nodes if node.name == name)


async def test_nodes_are_seen_with_what_they_have_and_what_their_pods_hold(cluster: Kubernetes) -> None:
    picture = await cluster.look()
    node = named(picture)
    assert (node.cpus, node.cpus_used, node.memory, node.memory_used) == (7.91, 1.5, 16 << 30, 3 << 30)
    assert (node.gpus, node.gpus_used, node.model, node.jobs) == (8, 2, "NVIDIA-H100-80GB-HBM3", 3)
    assert (node.labels, node.groups, node.state) == (("east",), ["zone:east"], "Ready")
    assert (picture.running, picture.pending) == (4, 0)


async def test_the_control_plane_is_left_out_unless_asked_for(api: ApiServer, cluster: Kubernetes) -> None:
    assert [node.name for node in (await cluster.look()).nodes] == ["a1", "a2"]
    async with Kubernetes(settings_for(api, nodes="")) as everything:
        assert [node.name for node in (await everything.look()).nodes] == ["a1", "a2", "c1"]


async def test_after_one_list_changes_are_watched(api: ApiServer, cluster: Kubernetes) -> None:
    await cluster.look()
    api.condition("a1", "Ready", "Unknown")
    api.delete("pods", "web-1")
    api.node("a3")
    api.delete("nodes", "a2")
    picture = await cluster.look()
    assert (named(picture).answers, named(picture).gpus_used) == (False, 0)
    assert [node.name for node in picture.nodes] == ["a1", "a3"]
    assert sorted(api.requests) == [("list", "nodes"), ("list", "pods"), ("watch", "nodes"), ("watch", "pods")]


async def test_what_leaves_a_selection_is_gone(api: ApiServer, cluster: Kubernetes) -> None:
    await cluster.look()
    api.change("pods", "web-1", lambda pod: pod["status"].update(phase="Succeeded"))
    api.change(
        "nodes", "a2", lambda node: node["metadata"]["labels"].update({"node-role.kubernetes.io/control-plane": ""})
    )
    picture = await cluster.look()
    assert ([node.name for node in picture.nodes], named(picture).jobs) == (["a1"], 2)


async def test_a_watch_goes_on_from_its_last_bookmark(api: ApiServer, cluster: Kubernetes) -> None:
    await cluster.look()
    api.annotate("c1", "note", "not watched, and yet a new version of everything")
    await cluster.look()
    api.compact()  # what came before is forgotten, the bookmark is not
    await cluster.look()
    assert [verb for verb, _ in api.requests].count("list") == 2


@pytest.mark.parametrize("in_stream", [False, True], ids=["at once", "as an event"])
async def test_what_is_too_old_to_go_on_from_is_listed_anew(
    api: ApiServer, cluster: Kubernetes, in_stream: bool
) -> None:
    api.gone_in_stream = in_stream
    await cluster.look()
    api.delete("nodes", "a2")
    api.compact()
    assert [node.name for node in (await cluster.look()).nodes] == ["a1"]
    assert [verb for verb, _ in api.requests].count("list") == 4


async def test_long_lists_come_in_pages(api: ApiServer, cluster: Kubernetes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "PAGE", 2)
    for number in range(5):
        api.pod(f"more-{number}", "a2")
    assert named(await cluster.look(), "a2").jobs == 6
    assert api.requests.count(("list", "pods")) == 5


async def test_a_list_that_takes_too_long_is_begun_again(
    api: ApiServer, cluster: Kubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "PAGE", 3)
    pages = iter(range(100))

    def forget(verb: str, resource: str) -> None:
        if (verb, resource) == ("list", "pods") and next(pages) == 1:
            api.annotate("c1", "note", "later")
            api.compact()

    api.before = forget
    assert (await cluster.look()).running == 4
    assert api.requests.count(("list", "pods")) == 4


def _forbid(api: ApiServer) -> None:
    api.rules = READ - {("list", "pods")}


def _fail(api: ApiServer) -> None:
    def busy(verb: str, resource: str) -> None:
        raise Answer(500, "etcdserver: leader changed")

    api.before = busy


def _stray(api: ApiServer) -> None:
    api.change("pods", "web-1", lambda pod: pod["spec"].update(containers="none"))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda api: setattr(api, "token", "another"), r"Unauthorized \(401\)"),
        (_forbid, r"pods is forbidden: User \"elias\" cannot list resource \"pods\".* \(403\)"),
        (_fail, r"leader changed \(500\)"),
        (_stray, "what the API server sent cannot be read"),
    ],
    ids=["token", "rights", "server", "nonsense"],
)
async def test_why_nothing_is_seen_is_said(
    api: ApiServer, cluster: Kubernetes, harm: Callable[[ApiServer], None], words: str
) -> None:
    harm(api)
    with pytest.raises(Temporary, match=words):
        await cluster.look()


async def test_a_new_token_in_the_file_counts_after_the_old_one_was_refused(api: ApiServer) -> None:
    async with Kubernetes(settings_for(api)) as cluster:
        await cluster.look()
        api.token = "f" * 32
        with pytest.raises(Temporary, match="401"):
            await cluster.look()
        api.kubeconfig()
        assert len((await cluster.look()).nodes) == 2


async def test_an_api_server_that_is_away_is_said_and_found_again(tmp_path: Path) -> None:
    api = ApiServer(tmp_path)
    api.node("a1")
    with api.running():
        cluster = Kubernetes(settings_for(api))
        await cluster.look()
    with pytest.raises(Temporary, match="the API server"):
        await cluster.look()
    with pytest.raises(Temporary, match="cannot be reached"):
        await cluster.look()
    with api.running():
        assert [node.name for node in (await cluster.look()).nodes] == ["a1"]
        await cluster.close()


async def test_what_is_too_large_is_not_read(
    api: ApiServer, cluster: Kubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MOST", 1000)
    with pytest.raises(Temporary, match="at once"):
        await cluster.look()
    monkeypatch.setattr(requests, "MOST", 64 << 20)
    await cluster.look()
    monkeypatch.setattr(requests, "MOST", 100)
    api.annotate("a1", "note", "x" * 10_000)
    with pytest.raises(Temporary, match="a line of more than"):
        await cluster.look()


async def test_a_certificate_of_somebody_else_is_refused(tmp_path: Path, api: ApiServer) -> None:
    (tmp_path / "other").mkdir()
    other = ApiServer(tmp_path / "other")
    with other.running():
        api.port = other.port
        async with Kubernetes(settings_for(api)) as cluster:
            with pytest.raises(Temporary, match=r"certificate verify failed"):
                await cluster.look()
    assert other.requests == []


@pytest.mark.parametrize("text", ["", "nonsense: [", "users: [{name: x, user: {token: SECRET-TOKEN}}]"])
async def test_a_kubeconfig_that_makes_no_sense_is_said_without_its_secrets(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(Temporary, match=r"kubeconfig cannot be used .* `kubectl get nodes` says why") as said:
        await Kubernetes(KubernetesSettings(enabled=True, kubeconfig=path)).look()
    assert "SECRET" not in str(said.value)


async def test_outside_a_pod_a_kubeconfig_is_needed() -> None:
    with pytest.raises(Temporary, match="the service account of this pod cannot be used"):
        await Kubernetes(KubernetesSettings(enabled=True)).look()


async def test_without_the_client_it_is_said_how_to_install_it(
    cluster: Kubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes.aio.client", None)
    with pytest.raises(Temporary, match=r"not installed: `pip install 'elias\[kubernetes\]'`"):
        await cluster.look()


async def test_a_look_that_is_given_up_leaves_nothing_behind(api: ApiServer, cluster: Kubernetes) -> None:
    await cluster.look()
    look = asyncio.create_task(cluster.look())
    while api.requests.count(("watch", "pods")) == 0:
        await asyncio.sleep(0.01)
    look.cancel()
    with pytest.raises(asyncio.CancelledError):
        await look
    assert len((await cluster.look()).nodes) == 2
