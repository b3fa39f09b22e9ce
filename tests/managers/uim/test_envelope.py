"""Every error has one shape, whoever finds it: the guard, the router, the validation of requests or a manager."""

import httpx
import pytest

from .conftest import House, event


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/v1/nothing", {}, 404),
        ("GET", "/v1/events", {}, 405),
        ("DELETE", "/v1/decisions", {}, 405),
        ("GET", "/v1/decisions/absent", {}, 404),
        ("GET", "/v1/decisions/absent/explain", {}, 404),
        ("GET", "/v1/decisions?limit=0", {}, 422),
        ("GET", "/v1/decisions?since=yesterday", {}, 422),
        ("GET", "/v1/cases/absent", {}, 404),
        ("POST", "/v1/cases/absent/answer", {"json": {"action": "hold"}}, 404),
        ("POST", "/v1/cases/absent/answer", {"json": {"actoin": "hold"}}, 422),
        ("POST", "/v1/cases/absent/answer", {"content": b"{"}, 422),
        ("PUT", "/v1/modes", {"json": {"action": "demo.load/nothing", "mode": "act"}}, 422),
        ("PUT", "/v1/modes", {"content": b" " * 70_000}, 413),
        ("GET", "/v1/managers/nobody", {}, 404),
        ("GET", "/v1/jobs/absent", {}, 404),
        ("GET", "/v1/jobs/absent/logs", {}, 404),
        ("GET", "/static/secret", {}, 404),
        ("POST", "/v1/events", {"content": b"x"}, 400),
        ("POST", "/v1/events", {"content": b"x", "headers": {"content-type": "text/xml"}}, 415),
        ("POST", "/v1/events", {"json": event(type="nothing")}, 422),
        ("GET", "/v1/nodes", {"headers": {"authorization": "Bearer wrong"}}, 401),
        ("GET", "/v1/nodes", {"headers": {"host": "evil.example"}}, 403),
    ],
)
def test_an_error_says_what_and_where_and_what_to_do(
    client: httpx.Client, method: str, path: str, options: dict[str, object], status: int
) -> None:
    answer = client.request(method, path, **options)  # type: ignore[arg-type]
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "place", "cure", "details"}
    assert error["code"]
    assert error["message"]


def test_a_manager_that_is_away_is_a_503_to_try_again(client: httpx.Client, house: House) -> None:
    house.link.away.add("ufm")
    answer = client.get("/v1/nodes")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"]["code"] == "unavailable"


def test_a_bug_is_a_500_of_the_same_shape(client: httpx.Client) -> None:
    answer = client.post("/v1/events", json=event(data={"load": 13}))
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "bug")


def test_the_document_describes_every_route(client: httpx.Client) -> None:
    document = client.get("/v1/openapi.json").json()
    assert document["openapi"].startswith("3.")
    post = document["paths"]["/v1/events"]["post"]
    assert set(post["responses"]) >= {"200", "202", "409", "413", "422", "503"}
    event_schema = document["components"]["schemas"]["CloudEvent"]
    assert set(event_schema["required"]) == {"id", "source", "type"}
    paths = set(document["paths"])
    assert {"/v1/decisions/{id}/explain", "/v1/cases/{id}/answer", "/v1/jobs/{id}/logs", "/healthz"} <= paths
