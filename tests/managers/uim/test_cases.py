import getpass

import httpx

from .conftest import House, event


def _case(client: httpx.Client, id: str = "1") -> str:
    answer = client.post("/v1/events", json=event(id, data={"load": 50, "gpu": 95}))
    return str(answer.json()["decisions"][0]["id"])


def test_open_cases_say_what_may_be_answered(client: httpx.Client) -> None:
    id = _case(client)
    (case,) = client.get("/v1/cases").json()["cases"]
    assert (case["id"], case["point"], case["clause"]) == (id, "demo.load", "odd")
    assert [o["action"] for o in case["options"]] == ["relieve", "hold"]


def test_an_answer_is_the_decision_and_closes_the_case(client: httpx.Client) -> None:
    id = _case(client)
    body = {"action": "relieve", "words": "it is too hot"}
    (decision,) = client.post(f"/v1/cases/{id}/answer", json=body).json()["decisions"]
    assert (decision["action"], decision["tier"]) == ("relieve", "operator")
    assert client.get("/v1/cases").json()["cases"] == []
    found = client.get(f"/v1/decisions/{id}").json()
    assert (found["by"], found["words"]) == (getpass.getuser(), "it is too hot")


def test_a_second_answer_is_told_who_was_first(client: httpx.Client) -> None:
    id = _case(client)
    client.post(f"/v1/cases/{id}/answer", json={"action": "hold"})
    answer = client.post(f"/v1/cases/{id}/answer", json={"action": "relieve"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "already-answered")
    assert getpass.getuser() in answer.json()["error"]["message"]


def test_what_was_not_offered_cannot_be_answered(client: httpx.Client) -> None:
    answer = client.post(f"/v1/cases/{_case(client)}/answer", json={"action": "explode"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "not-offered")
    assert len(client.get("/v1/cases").json()["cases"]) == 1


def test_a_case_can_be_read_while_its_manager_is_away_and_answered_when_it_is_back(
    client: httpx.Client, house: House
) -> None:
    id = _case(client)
    house.link.away.add("demo")
    assert [case["id"] for case in client.get("/v1/cases").json()["cases"]] == [id]
    assert client.post(f"/v1/cases/{id}/answer", json={"action": "hold"}).status_code == 503
    house.link.away.clear()
    assert client.post(f"/v1/cases/{id}/answer", json={"action": "hold"}).status_code == 200
