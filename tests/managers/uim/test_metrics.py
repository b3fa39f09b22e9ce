"""What Prometheus is told, from one process: how it is named, and what each figure counts."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from federation.figures import Figures, Histogram
from federation.gate import GateState, Release, Wish, standing
from federation.records import Effect, Kind
from federation.runtime.root import Member
from federation.settings import Brake, Cap, GateSettings
from managers.uim import metrics
from managers.uim.metrics import nodes, processes, work
from managers.uim.metrics.family import Family, together
from managers.uim.metrics.scrape import Cases, Scrape, components

from .conftest import NODE, House, event

PAGE = Path(__file__).parents[3] / "docs" / "operate" / "metrics.md"
SECOND = 10**9

# What a label may stand for: of each there are as many as points, processes, nodes or targets, never as decisions.
BOUNDED = {
    "action", "component", "engine", "gpu", "manager", "method", "mode", "model", "node", "per", "point", "priority",
    "reason", "route", "stage", "state", "status", "target", "tier", "verdict", "version", "within",
}  # fmt: skip


def row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    return f"| `{family.name}` | {family.kind} | {labels} | {family.help} |"


def test_the_page_lists_every_family_in_its_order() -> None:
    assert [line for line in PAGE.read_text().splitlines() if line.startswith("| `")] == list(
        map(row, metrics.FAMILIES)
    )


@pytest.mark.parametrize("family", metrics.FAMILIES, ids=lambda family: family.name)
def test_a_family_is_named_by_the_conventions(family: Family) -> None:
    assert re.fullmatch("elias(_[a-z]+)+", family.name)
    assert family.name.endswith("_total") is (family.kind == "counter")
    assert set(family.labels) <= BOUNDED


def test_every_part_tells_all_that_it_declares(client: httpx.Client) -> None:
    client.get("/v1/points")
    announced = re.findall(r"^# TYPE (\w+) (\w+)$", client.get("/metrics").text, re.MULTILINE)
    assert announced == [(family.name, family.kind) for family in metrics.FAMILIES]


def samples(client: httpx.Client) -> dict[tuple[str, ...], float]:
    """By name and values of the labels, in the order of their names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }


def test_posts_are_timed_from_the_post_to_the_answer_at_each_manager(client: httpx.Client) -> None:
    client.post("/v1/events", json=event("1"))
    client.post("/v1/events", json=[event("2"), event("3")])
    assert samples(client)["elias_decision_seconds_count", "demo"] == 2


def test_the_ledger_tells_its_size_and_its_age_whoever_is_away(client: httpx.Client, house: House) -> None:
    client.post("/v1/events", json=event())
    house.clock.advance(90)
    house.link.away |= {"gate", "demo", "root"}
    told = samples(client)
    assert told["elias_ledger_records",] == house.store.head().size
    assert told["elias_ledger_age_seconds",] == 90
    assert told["elias_ledger_bytes",] > 10_000
    assert (told["elias_up", "demo"], told["elias_up", "uim"]) == (0, 1)


def test_a_node_is_told_in_shares_and_bytes_with_each_of_its_cards(client: httpx.Client) -> None:
    told = samples(client)
    assert (told["elias_node_cpu_ratio", "gpu-1"], told["elias_node_status", "gpu-1", "up"]) == (0.37, 1)
    assert told["elias_gpu_busy_ratio", "0", "gpu-1"] == 0.93
    assert told["elias_gpu_memory_free_bytes", "0", "gpu-1"] == 2e9


def test_a_freeze_is_told_though_the_gate_is_away(client: httpx.Client, house: House) -> None:
    client.put("/v1/freeze", json={})
    house.link.away.add("gate")
    assert samples(client)["elias_frozen", "here"] == 1


# -- what is counted in other processes ------------------------------------------------------------------------------


def test_what_a_desk_records_is_counted_by_what_was_chosen(house: House, client: httpx.Client) -> None:
    client.post("/v1/events", json=[event("1", data={"load": 97}), event("2", data={"load": 97}), event("3")])
    plain = house.federation.desks["demo"].figures.plain()
    assert ["demo.load", "rule", "relieve", "observe", 2] in plain["chosen"]
    assert ["demo.load", "rule", 3] in plain["answered"]


def effect(verdict: str, reason: str = "", **more: Any) -> Effect:
    return Effect(verdict, "drain", {}, "node", "n1", "act", 60.0, reason=reason, **more)


def test_an_effect_that_is_held_back_is_counted_by_the_first_word_of_the_reason() -> None:
    figures = Figures()
    figures.recorded(Kind.EFFECT, "ufm.node_health", effect("withheld", "cap: 3 per fleet within 600 s are reached"))
    figures.recorded(Kind.EFFECT, "ufm.node_health", effect("released", "confirmed by a person"))
    assert figures.plain()["effects"] == [
        ["ufm.node_health", "drain", "act", "withheld", "cap", 1],
        ["ufm.node_health", "drain", "act", "released", "", 1],
    ]


def test_the_gate_tells_how_full_its_caps_are() -> None:
    caps = (
        Cap(action="*", per="fleet", at_most=20, within=600),
        Cap(action="a.b/drain", per="node", at_most=4, within=60),
    )
    releases = [Release(at * SECOND, "a.b/drain", [f"node:n{at % 2}", "rack:r1"], True) for at in (500, 541, 543, 545)]
    releases.append(Release(550 * SECOND, "a.b/show", ["node:n1"], False))
    state = GateState(releases=releases, waiting={"d": Wish("a.b", "n1", "d", effect("withheld"))})
    told = standing(GateSettings(caps=caps, brake=Brake()), state, 590 * SECOND)
    assert told["caps"] == [["*", "fleet", "600s", 4, 20], ["a.b/drain", "node", "60s", 3, 4]]
    assert told["open"] == {"wanted": 0, "approval": 0, "withheld": 1, "released": 0}


# -- what is made of it ----------------------------------------------------------------------------------------------

NOTHING = Scrape(
    0, {}, (), {}, None, None, None, {}, Cases(open={}, oldest={}, groups={}), frozen=False, took=0.0
)  # fmt: skip


def told_by(part: Any, scrape: Scrape) -> list[Metric]:
    return list(text_string_to_metric_families("\n".join(part.lines(scrape))))


def values(part: Any, scrape: Scrape, family: Family) -> dict[tuple[str, ...], float]:
    (found,) = [metric for metric in told_by(part, scrape) if metric.name == family.name.removesuffix("_total")]
    return {tuple(sample.labels.values()): sample.value for sample in found.samples}


def test_nothing_is_told_of_a_federation_that_says_nothing() -> None:
    told = [sample for part in metrics.PARTS for metric in told_by(part, NOTHING) for sample in metric.samples]
    assert {sample.name for sample in told} == {"elias_info", "elias_scrape_seconds", "elias_frozen"}


def test_an_agent_is_named_after_its_node_for_ray_gives_it_another_id_each_time() -> None:
    reports = [
        {"name": "n1", "report": {"actor": "elias.agent.0a1b2c3d"}},
        {"name": "sim-1", "report": {"actor": "elias.sim"}},
    ]
    assert components(reports) == {"agent.0a1b2c3d": "agent.n1"}


def member(name: str, above: str, status: str = "running", restarts: int = 0) -> Member:
    return Member(name, above, status, 60 * SECOND, restarts, 7, "here")


def test_a_process_that_was_given_up_is_told_apart_from_one_that_restarts() -> None:
    tree = (
        member("elias", ""),
        member("watch.ufm", "elias"),
        member("ufm", "watch.ufm", restarts=3),
        member("watch.urm", "elias", "gave up"),
        member("urm", "watch.urm", "stopped", restarts=5),
        member("agent", "elias"),
        member("agent.n1.supervisor", "agent"),
        member("agent.n1", "agent.n1.supervisor", "starting"),
    )
    scrape = NOTHING._replace(members=tree, healths={"ufm": {}, "urm": None})
    assert values(processes, scrape, processes.UP) == {("ufm",): 1, ("urm",): 0, ("agent.n1",): 0}
    assert values(processes, scrape, processes.GAVE_UP) == {("ufm",): 0, ("urm",): 1, ("agent.n1",): 0}
    assert values(processes, scrape, processes.RESTARTS) == {("ufm",): 3, ("urm",): 5, ("agent.n1",): 0}
    assert values(processes, scrape, processes.START) == {("ufm",): 60}


def test_text_of_others_stays_the_value_of_its_label() -> None:
    wicked = 'a"} 1\nelias_up{component="b\\'
    (metric,) = text_string_to_metric_families("\n".join(processes.UP.of({(wicked,): 1})))
    assert [sample.labels for sample in metric.samples] == [{"component": wicked}]


def test_jobs_are_told_by_where_they_wait() -> None:
    views = {"ufm": {"jobs": {"waiting": ["a", "b"], "running": [{"id": "c"}]}}, "urm": {"waiting": 4}}
    assert values(work, NOTHING._replace(views=views), work.JOBS) == {("queued",): 4, ("waiting",): 2, ("running",): 1}


def test_messages_are_told_by_target_with_the_dead_ones() -> None:
    target = {"name": "pager", "waiting": 2, "in_flight": 1, "delivered": 9, "breaker": "open"}
    views = {"ucm": {"targets": [target], "dead": [{"target": "pager"}, {"target": "pager"}]}}
    scrape = NOTHING._replace(views=views)
    assert (values(work, scrape, work.DEAD), values(work, scrape, work.BREAKER)) == ({("pager",): 2}, {("pager",): 1})


def test_a_node_that_says_little_is_told_of_as_far_as_it_goes() -> None:
    silent = {"name": "n1", "status": "drained", "silence": None, "missed": 3, "report": {}}
    scrape = NOTHING._replace(views={"ufm": {"nodes": [silent, NODE]}})
    assert values(nodes, scrape, nodes.MISSED) == {("n1",): 3}
    assert values(nodes, scrape, nodes.HEARD) == {}
    assert values(nodes, scrape, nodes.STATUS) == {("n1", "drained"): 1, ("gpu-1", "up"): 1}


def test_histograms_are_told_as_prometheus_counts_them() -> None:
    one, other = Histogram((1.0, 2.0)), Histogram((1.0, 2.0))
    for value in (0.5, 1.5, 9.0):
        one.observe(value)
    other.observe(0.1)
    both = together([one.plain(), other.plain()])
    assert both is not None
    (metric,) = text_string_to_metric_families("\n".join(Family("histogram", "h", "of a test").one(both)))
    told = {(sample.name, sample.labels.get("le", "")): sample.value for sample in metric.samples}
    assert told == {
        ("h_bucket", "1.0"): 2,
        ("h_bucket", "2.0"): 3,
        ("h_bucket", "+Inf"): 4,
        ("h_count", ""): 4,
        ("h_sum", ""): pytest.approx(11.1),
    }
