import json
import string
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import House, event


def test_an_event_is_answered_with_its_decision(client: httpx.Client) -> None:
    answer = client.post("/v1/events", json=event(data={"load": 97}))
    assert answer.status_code == 200
    (decision,) = answer.json()["decisions"]
    assert (decision["point"], decision["subject"], decision["action"]) == ("demo.load", "n1", "relieve")
    assert (decision["tier"], decision["clause"], decision["mode"]) == ("rule", "high", "observe")


def test_an_event_that_needs_a_person_is_accepted_with_the_place_of_its_case(client: httpx.Client) -> None:
    answer = client.post("/v1/events", json=event(data={"load": 50, "gpu": 95}))
    assert answer.status_code == 202
    (decision,) = answer.json()["decisions"]
    assert decision["status"] == "waiting"
    assert answer.headers["location"] == f"/v1/cases/{decision['id']}"
    assert client.get(answer.headers["location"]).json()["status"] == "waiting"


def test_the_attributes_may_come_as_headers_and_the_data_as_the_body(client: httpx.Client) -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "b%201",
        "ce-source": "tests",
        "ce-type": "test.load",
        "ce-subject": "n9",
    }
    answer = client.post("/v1/events", content=b'{"load": 97}', headers=headers | {"content-type": "application/json"})
    (decision,) = answer.json()["decisions"]
    assert (decision["subject"], decision["action"]) == ("n9", "relieve")
    assert client.get(f"/v1/decisions/{decision['id']}").json()["event"]["id"] == "b 1"


@pytest.mark.parametrize("kind", ["application/json", "application/cloudevents-batch+json"])
def test_a_batch_is_answered_event_by_event_in_its_order(client: httpx.Client, kind: str) -> None:
    events = [event(str(i), subject=f"n{i}", data={"load": 97 if i == 1 else 5}) for i in range(3)]
    answer = client.post("/v1/events", content=json.dumps(events), headers={"content-type": kind})
    results = answer.json()["results"]
    assert [r["status"] for r in results] == [200, 200, 200]
    assert [r["decisions"][0]["subject"] for r in results] == ["n0", "n1", "n2"]
    assert [r["decisions"][0]["action"] for r in results] == ["hold", "relieve", "hold"]


def test_bad_events_of_a_batch_do_not_keep_the_good_ones_from_being_decided(client: httpx.Client) -> None:
    without_id = {k: v for k, v in event().items() if k != "id"}
    batch = [event("a"), without_id, event("b", type="test.laod"), event("c", data={"load": "much"}), event("d")]
    results = client.post("/v1/events", json=batch).json()["results"]
    assert [r["status"] for r in results] == [200, 422, 422, 422, 200]
    assert "`id`" in results[1]["error"]["message"]
    assert results[1]["error"]["place"] == "body[1]"
    assert "test.load" in results[2]["error"]["cure"]
    assert results[3]["error"]["code"] == "bad-facts"


def test_an_event_that_brings_its_manager_down_leaves_the_others_their_answers(
    client: httpx.Client, house: House
) -> None:
    batch = [event(str(i), data={"load": 13 if i == 4 else 5}) for i in range(9)]
    results = client.post("/v1/events", json=batch).json()["results"]
    assert [r["status"] for r in results] == [200, 200, 200, 200, 500, 200, 200, 200, 200]
    assert results[4]["error"]["code"] == "bug"


def test_the_same_event_again_gets_the_first_answer(client: httpx.Client) -> None:
    first = client.post("/v1/events", json=event(data={"load": 97})).json()["decisions"][0]
    again = client.post("/v1/events", json=event(data={"load": 97})).json()["decisions"][0]
    assert again == {**first, "duplicate": True}


def test_the_same_id_with_another_body_is_a_conflict(client: httpx.Client) -> None:
    client.post("/v1/events", json=event(data={"load": 97}))
    answer = client.post("/v1/events", json=event(data={"load": 5}))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


def test_while_its_manager_is_away_an_event_is_to_be_sent_again(client: httpx.Client, house: House) -> None:
    house.link.away.add("demo")
    for body in (event(), [event("1"), event("2")]):
        answer = client.post("/v1/events", json=body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    house.link.away.clear()
    assert client.post("/v1/events", json=event()).json()["decisions"][0].get("duplicate", False) is False


def test_of_a_batch_for_two_managers_those_that_answered_are_acknowledged(client: httpx.Client, house: House) -> None:
    house.link.away.add("demo")
    access = event("x", type="elias.access.failed", subject="192.0.2.1", data={})
    results = client.post("/v1/events", json=[event("1"), access]).json()["results"]
    assert [r["status"] for r in results] == [503, 200]


def test_what_the_gate_asks_itself_cannot_be_posted(client: httpx.Client) -> None:
    answer = client.post("/v1/events", json=event(type="elias.effect.approval"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "unknown-type")


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"id": ""}, "body.id"),
        ({"id": 7}, "body.id"),
        ({"source": "s" * 257}, "body.source"),
        ({"subject": "a\x00b"}, "body.subject"),
        ({"id": "newline\n"}, "body.id"),
        ({"type": "elias.\x7f"}, "body.type"),
        ({"specversion": "0.3"}, "body.specversion"),
        ({"time": "yesterday"}, "body.time"),
        ({"datacontenttype": "text/xml"}, "body.datacontenttype"),
        ({"data": [1]}, "body.data"),
        ({"data": {"big": 2**70}}, "body.data"),
        ({"data": {"deep": [[[[[[[[[1]]]]]]]]]}}, "body.data"),
        ({"data": {"long": "x" * 70_000}}, "body.data"),
        ({"data_base64": "AAAA"}, "body.data_base64"),
    ],
)
def test_a_malformed_event_is_refused_with_the_place(client: httpx.Client, changed: dict[str, Any], place: str) -> None:
    answer = client.post("/v1/events", json=event() | changed)
    assert (answer.status_code, answer.json()["error"]["place"]) == (422, place)


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "bad-json"),
        (b"", "application/json", 400, "bad-json"),
        (b"\xff\xfe", "application/json", 400, "bad-json"),
        (b'{"id": "\\ud800", "source": "s", "type": "test.load"}', "application/json", 400, "bad-json"),
        (b"[" * 100_000, "application/json", 400, "bad-json"),
        (b'{"data": ' + b'{"a":' * 50_000, "application/json", 400, "bad-json"),
        (b"[]", "application/json", 422, "batch-size"),
        (b"[" + b"1," * 1000 + b"1]", "application/json", 422, "batch-size"),
        (b"{}", "application/cloudevents-batch+json", 422, "bad-event"),
        (b"[{}]", "application/cloudevents+json", 422, "bad-event"),
        (b"{}", "text/plain", 415, "media-type"),
        (b"a=1", "application/x-www-form-urlencoded", 415, "media-type"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    client: httpx.Client, body: bytes, kind: str, status: int, code: str
) -> None:
    answer = client.post("/v1/events", content=body, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_an_oversized_body_is_refused_before_it_is_read(client: httpx.Client) -> None:
    def endless() -> Any:
        for _ in range(80):
            yield b" " * 65_536

    announced = client.post("/v1/events", content=b" " * (5 << 20), headers={"content-type": "application/json"})
    assert (announced.status_code, announced.json()["error"]["code"]) == (413, "too-large")
    streamed = client.post("/v1/events", content=endless(), headers={"content-type": "application/json"})
    assert streamed.status_code == 413
    assert "error" in streamed.json()


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(string.printable, max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_FIELDS = st.sampled_from(["id", "source", "type", "subject", "data", "time", "specversion", "other"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.one_of(st.binary(max_size=200), st.dictionaries(_FIELDS, _VALUES).map(json.dumps), _VALUES.map(json.dumps))
)
def test_no_body_whatever_brings_the_api_down(client: httpx.Client, body: bytes | str) -> None:
    answer = client.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert answer.status_code < 500
    assert answer.status_code < 300 or set(answer.json()["error"]) == {"code", "message", "place", "cure", "details"}
