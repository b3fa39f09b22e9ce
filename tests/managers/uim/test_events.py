import httpx

from .conftest import event


def test_an_event_is_answered_with_its_decision(client: httpx.Client) -> None:
    answer = client.post("/v1/events", json=event(data={"load": 97}))
    assert answer.status_code == 200
    (decision,) = answer.json()["decisions"]
    assert (decision["point"], decision["subject"], decision["action"]) == ("demo.load", "n1", "relieve")
    assert (decision["tier"], decision["clause"], decision["mode"]) == ("rule", "high", "observe")
