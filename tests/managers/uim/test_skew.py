"""Versions and clocks of nodes against those of the head: told by the API, the commands and the page."""

from html import unescape
from typing import Any, cast

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from federation.runtime.root import Member
from managers.uim import skew
from managers.uim.doctor import serving

from .conftest import NODE, House
from .test_cli import Elias, elias

__all__ = ["elias"]


def agent(runs: str = "2.0", ahead: float | None = 0.0, within: float | None = 0.001) -> Member:
    return Member("agent.0a1b2c3d", "agent.0a1b2c3d.supervisor", "running", 0, 0, 7, "there", runs, ahead, within)


REPORTED = {**NODE, "report": {**cast(dict[str, Any], NODE["report"]), "actor": "elias.agent.0a1b2c3d"}}


@pytest.mark.parametrize(
    ("member", "unlike"),
    [
        (agent(), {}),
        (agent("1.9"), {"elias": "it runs ELIAS 1.9, and the head 2.0"}),
        (agent(""), {}),
        (agent(ahead=1.9), {}),
        (agent(ahead=-2.5), {"clock": "its clock is 2.5 s behind that of the head"}),
        (agent(ahead=2.5, within=0.6), {}),
        (agent(ahead=90.0, within=0.6), {"clock": "its clock is 90.0 s ahead of that of the head"}),
        (agent(ahead=None, within=None), {}),
    ],
    ids=["alike", "older", "silent", "near", "behind", "perhaps", "ahead", "unasked"],
)
def test_what_of_a_node_is_unlike_the_head(member: Member, unlike: dict[str, str]) -> None:
    (node,) = skew.told([REPORTED], [member], "2.0")
    assert node["unlike"] == unlike
    found = [(one.code, one.seen, one.place) for one in serving.nodes([node])]
    codes = {"elias": "versions.node", "clock": "clock.node"}
    assert found == [(codes[what], words, "gpu-1") for what, words in unlike.items()]


def test_of_a_node_without_an_agent_nothing_is_said() -> None:
    assert skew.told([NODE], [agent("1.9")], "2.0") == [NODE]


@pytest.fixture
def left_behind(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house whose node runs an older ELIAS, by a clock that is two hours behind."""
    monkeypatch.setattr(house.context, "children", (*house.context.children, "ufm"))
    tree, shown = house.link.on_tree, house.link.on_view
    monkeypatch.setattr(house.link, "on_tree", lambda child: [*tree(child), agent("0.0.9", -7200.0)])
    monkeypatch.setattr(house.link, "on_view", lambda child: shown(child) | {"nodes": [REPORTED]})
    return house


WORDS = ("it runs ELIAS 0.0.9, and the head", "its clock is 7200.0 s behind that of the head")


def test_the_commands_say_it(left_behind: House, elias: Elias) -> None:
    assert "0.0.9\t-7200.000 s" in elias("nodes")
    assert all(words in elias.err for words in WORDS)
    (node,) = elias.json("nodes")["nodes"]
    assert (node["elias"], node["clock"]) == ("0.0.9", {"ahead": -7200.0, "within": 0.001})


@pytest.mark.parametrize("path", ["/nodes", "/nodes/gpu-1"])
def test_the_pages_say_it(left_behind: House, path: str) -> None:
    with left_behind.browser() as browser:
        page = unescape(browser.get(path).text)
    assert [words for words in WORDS if words not in page] == []


def test_the_metrics_say_it(left_behind: House, client: httpx.Client) -> None:
    families = text_string_to_metric_families(client.get("/metrics").text)
    told = {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}
    assert (told["elias_node_info", "gpu-1", "0.0.9"], told["elias_node_clock_seconds", "gpu-1"]) == (1, -7200)


def test_without_the_root_supervisor_nodes_are_shown_all_the_same(left_behind: House, client: httpx.Client) -> None:
    left_behind.link.away.add("root")
    (node,) = client.get("/v1/nodes").json()["nodes"]
    assert (node["name"], "elias" in node) == ("gpu-1", False)
