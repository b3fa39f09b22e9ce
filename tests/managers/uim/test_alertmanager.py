"""The webhook of Alertmanager: who may send, what is read of it, and what a repeat is."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from managers.ufm.manager import Ufm

from .conftest import House

ALERT = {
    "status": "firing",
    "labels": {"alertname": "NodeDown", "instance": "gpu-4:9100", "severity": "critical"},
    "annotations": {"summary": "gpu-4 does not answer"},
    "startsAt": "2026-01-31T12:00:00.123Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus:9090/graph",
    "fingerprint": "3f9a1c0b5d2e4f60",
}


def payload(*alerts: dict[str, Any], **more: Any) -> dict[str, Any]:
    """As Alertmanager 0.25 sends it."""
    return {
        "receiver": "elias",
        "status": "firing",
        "alerts": list(alerts),
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
    } | more


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path, Ufm)
    yield house
    house.close()


@pytest.fixture
def sender(watched: House) -> Iterator[httpx.Client]:
    with watched.client() as client:
        yield client


def test_each_alert_of_a_group_is_decided(sender: httpx.Client) -> None:
    other = ALERT | {"labels": {"alertname": "DiskFull", "severity": "info"}, "fingerprint": "0" * 16}
    answer = sender.post("/v1/alertmanager", json=payload(ALERT, other))
    assert answer.status_code == 200
    first, second = answer.json()["decisions"]
    assert (first["subject"], first["status"]) == ("NodeDown/gpu-4:9100#3f9a1c0b", "waiting")
    assert (second["subject"], second["action"]) == ("DiskFull#00000000", "hold")
    case = sender.get(f"/v1/decisions/{first['id']}").json()
    assert case["event"]["data"]["annotations"] == {"summary": "gpu-4 does not answer"}
    assert case["facts"]["alert"] == "node_down"


def test_the_same_told_again_is_the_same_decision(sender: httpx.Client) -> None:
    first, second = (sender.post("/v1/alertmanager", json=payload(ALERT)).json()["decisions"][0] for _ in range(2))
    assert (second["id"], second["duplicate"]) == (first["id"], True)


def test_hours_later_it_is_noted_that_it_still_fires_and_nobody_is_asked_again(
    watched: House, sender: httpx.Client
) -> None:
    sender.post("/v1/alertmanager", json=payload(ALERT))
    watched.clock.advance(3600)
    (again,) = sender.post("/v1/alertmanager", json=payload(ALERT)).json()["decisions"]
    assert (again.get("duplicate"), again["action"]) == (None, "hold")
    assert len(sender.get("/v1/cases").json()["cases"]) == 1


def test_when_it_is_resolved_its_case_is_gone(sender: httpx.Client) -> None:
    sender.post("/v1/alertmanager", json=payload(ALERT))
    assert len(sender.get("/v1/cases").json()["cases"]) == 1
    resolved = ALERT | {"status": "resolved", "endsAt": "2026-01-31T12:10:00Z"}
    assert sender.post("/v1/alertmanager", json=payload(resolved, status="resolved")).status_code == 200
    assert sender.get("/v1/cases").json()["cases"] == []


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_the_token_may_come_as_a_password(watched: House) -> None:
    with httpx.Client(base_url=watched.url, timeout=60) as client:
        sent = client.post("/v1/alertmanager", json=payload(ALERT), headers=basic("elias", watched.token))
        assert sent.status_code == 200
        assert client.get("/v1/cases", headers=basic("elias", watched.token)).status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        {},
        basic("elias", "wrong"),
        basic("elias", "größer"),
        basic("elias", "a\r\nhost: evil"),
        {"Authorization": "Basic !"},
        {"Authorization": "Basic"},
        {"Authorization": "Bearer wrong"},
    ],
)
def test_nobody_else_may_tell_of_alerts(watched: House, header: dict[str, str]) -> None:
    with httpx.Client(base_url=watched.url, timeout=60) as client:
        assert client.post("/v1/alertmanager", json=payload(ALERT), headers=header).status_code == 401


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (payload(ALERT, version="3"), "body.version"),
        (payload(ALERT | {"fingerprint": "../../etc"}), "body.alerts.0.fingerprint"),
        (payload(ALERT | {"status": "odd"}), "body.alerts.0.status"),
        (payload(ALERT | {"startsAt": "yesterday"}), "body.alerts.0.startsAt"),
        (payload(ALERT | {"labels": {"alertname": "x" * 1001}}), "body.alerts.0.labels.alertname"),
        (payload(ALERT | {"labels": {f"l{n}": "" for n in range(65)}}), "body.alerts.0.labels"),
        (payload(*[ALERT] * 1001), "body.alerts"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(
    sender: httpx.Client, given: dict[str, Any], place: str
) -> None:
    answer = sender.post("/v1/alertmanager", json=given)
    assert (answer.status_code, answer.json()["error"]["place"]) == (422, place)


def test_a_long_group_is_read(sender: httpx.Client) -> None:
    many = [ALERT | {"fingerprint": f"{n:016x}", "labels": ALERT["labels"] | {"n": str(n)}} for n in range(500)]  # type: ignore[operator]
    body = json.dumps(payload(*many))
    assert len(body) > 100_000
    answer = sender.post("/v1/alertmanager", content=body, headers={"Content-Type": "application/json"})
    assert len(answer.json()["decisions"]) == 500


def test_while_ufm_is_away_alertmanager_is_to_send_again(watched: House, sender: httpx.Client) -> None:
    watched.link.away.add("ufm")
    assert sender.post("/v1/alertmanager", json=payload(ALERT)).status_code == 503
    watched.link.away.clear()
    assert sender.post("/v1/alertmanager", json=payload(ALERT)).status_code == 200
