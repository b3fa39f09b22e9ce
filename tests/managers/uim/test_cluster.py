import getpass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from .conftest import House, event


def test_the_supervision_tree_shows_what_each_process_says_of_itself(client: httpx.Client) -> None:
    members = {m["name"]: m for m in client.get("/v1/managers").json()["members"]}
    assert members["demo"]["supervisor"] == "managers"
    assert members["demo"]["health"]["rss"] == 80_000_000


def test_nodes_come_with_their_live_figures(client: httpx.Client) -> None:
    (node,) = client.get("/v1/nodes").json()["nodes"]
    assert (node["name"], node["report"]["memory"]) == ("gpu-1", 81.5)


def test_a_mode_is_set_for_the_next_decision(client: httpx.Client) -> None:
    assert client.get("/v1/modes").json()["modes"]["demo.load/relieve"] == "observe"
    assert client.put("/v1/modes", json={"action": "demo.load/relieve", "mode": "act"}).status_code == 204
    assert client.get("/v1/modes").json()["modes"]["demo.load/relieve"] == "act"
    answer = client.post("/v1/events", json=event(data={"load": 97})).json()
    assert answer["decisions"][0]["mode"] == "act"


def test_a_freeze_is_set_shown_and_lifted(client: httpx.Client, house: House) -> None:
    client.put("/v1/freeze", json={"reason": "test"})
    assert client.get("/v1/freeze").json() == {"frozen": True, "by": getpass.getuser()}
    assert house.federation.gate.state.frozen
    client.delete("/v1/freeze")
    assert client.get("/v1/freeze").json() == {"frozen": False, "by": ""}
    assert not house.federation.gate.state.frozen


def test_a_freeze_stands_on_this_node_though_the_gate_is_away(client: httpx.Client, house: House) -> None:
    house.link.away.add("gate")
    assert client.put("/v1/freeze", json={}).status_code == 503
    assert client.get("/v1/freeze").json()["frozen"]


def test_points_and_specs_can_be_read(client: httpx.Client) -> None:
    points = {p["name"]: p for p in client.get("/v1/points").json()["points"]}
    assert points["demo.load"]["events"] == ["test.load"]
    assert "demo.tiki" in client.get("/v1/bundle").json()["sources"]


def test_it_is_ready_while_all_answer_and_the_ledger_moves(client: httpx.Client, house: House) -> None:
    assert client.get("/readyz").json()["status"] == "ready"
    house.clock.advance(120)
    assert client.get("/readyz").status_code == 503
    house.federation.tick()
    assert client.get("/readyz").status_code == 200
    house.link.away.add("demo")
    assert client.get("/readyz").status_code == 503


def test_metrics_tell_what_waits_for_people(client: httpx.Client, house: House) -> None:
    client.post("/v1/events", json=event("1", data={"load": 50, "gpu": 95}))
    house.clock.advance(60)
    figures = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
        if sample.name.startswith("elias_case")
    }
    (priority,) = [labels[0] for (name, *labels), value in figures.items() if name == "elias_cases_open" and value]
    assert figures["elias_cases_open", priority] == 1
    assert figures["elias_cases_oldest_seconds", priority] == 60
    assert (figures["elias_case_groups", "all"], figures["elias_case_groups", "unclaimed"]) == (1, 1)


def test_metrics_cover_every_process_and_the_requests(client: httpx.Client, house: House) -> None:
    client.post("/v1/events", json=event())
    house.link.away.add("gate")
    families = {f.name: f for f in text_string_to_metric_families(client.get("/metrics").text)}
    up = {s.labels["component"]: s.value for s in families["elias_up"].samples}
    assert up == {"gate": 0.0, "demo": 1.0, "uim": 1.0}
    assert families["elias_node_memory_ratio"].samples[0].value == 0.815
    requests = {
        s.labels["route"]: s.value for s in families["elias_http_request_seconds"].samples if s.name.endswith("_count")
    }
    assert requests["/v1/events"] == 1


def test_the_output_of_a_job_is_told_only_of_jobs_that_exist(client: httpx.Client) -> None:
    assert client.get("/v1/jobs/nothing/logs").json()["error"]["code"] == "no-job"
