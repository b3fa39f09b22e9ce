from typing import Any

import httpx
import pytest

from .conftest import House, event


def _post(client: httpx.Client, id: str, **more: Any) -> str:
    return str(client.post("/v1/events", json=event(id, **more)).json()["decisions"][0]["id"])


def test_decisions_are_listed_newest_first_page_by_page(client: httpx.Client) -> None:
    made = [_post(client, str(i)) for i in range(7)]
    seen: list[str] = []
    before = 0
    while True:
        page = client.get("/v1/decisions", params={"limit": 3, "before": before}).json()
        seen += [d["id"] for d in page["decisions"]]
        if page["next"] is None:
            break
        before = page["next"]
    assert seen == made[::-1]


def test_decisions_can_be_asked_for_by_point_subject_tier_and_time(client: httpx.Client, house: House) -> None:
    old = _post(client, "1", subject="a")
    house.clock.advance(60)
    high = _post(client, "2", subject="b", data={"load": 97})
    case = _post(client, "3", subject="c", data={"load": 1, "gpu": 99})

    def ids(**wanted: str) -> list[str]:
        return [d["id"] for d in client.get("/v1/decisions", params=wanted).json()["decisions"]]

    since = client.get(f"/v1/decisions/{high}").json()["time"]
    assert ids(subject="b") == [high]
    assert ids(tier="rule") == [high, old]
    assert ids(since=since) == [case, high]
    assert ids(point="demo.load") == [case, high, old]
    assert ids(point="uim.access") == []


def test_a_decision_is_shown_with_what_was_known_and_what_came_of_it(client: httpx.Client) -> None:
    found = client.get(f"/v1/decisions/{_post(client, '1', data={'load': 97})}").json()
    assert found["facts"] == {"load": 97.0, "gpu": None}
    assert [c["action"] for c in found["candidates"]] == ["relieve", "hold"]
    assert [s["what"] for s in found["steps"]] == ["asked", "relieve, by rule"]


@pytest.mark.parametrize("data", [{"load": 97}, {"load": 5}, {"load": 50, "gpu": 95}, {}])
def test_an_explanation_recomputes_what_is_on_record(client: httpx.Client, data: dict[str, float]) -> None:
    explained = client.get(f"/v1/decisions/{_post(client, '1', data=data)}/explain").json()
    assert explained["same"]


def test_an_explanation_shows_every_comparison_with_its_values(client: httpx.Client) -> None:
    explained = client.get(f"/v1/decisions/{_post(client, '1', data={'load': 97})}/explain").json()
    (rule,) = explained["trace"]["rules"]
    assert (rule["clause"], rule["truth"]) == ("high", True)
    assert rule["steps"][0]["values"] == {"load": "97%", "limit": "80%"}
    assert "load > limit: true" in explained["text"]


def test_a_decision_is_explained_by_the_specs_that_decided_it(client: httpx.Client, house: House) -> None:
    import tiki

    from .conftest import sources

    id = _post(client, "1", data={"load": 85})
    stricter = [tiki.Source(s.path, s.text.replace("limit: 80%", "limit: 90%")) for s in sources()]
    house.federation.put_in_force(tiki.build(stricter, {n: p.schema for n, p in house.points.items()}))
    assert client.get(f"/v1/decisions/{_post(client, '2', data={'load': 85})}").json()["action"] == "hold"
    explained = client.get(f"/v1/decisions/{id}/explain").json()
    assert explained["same"]
    assert explained["trace"]["action"] == "relieve"


def test_whoever_sees_what_came_of_a_decision_without_an_effect_says_so_once(client: httpx.Client) -> None:
    held, case = _post(client, "1", data={"load": 5}), _post(client, "2", data={"load": 1, "gpu": 99})

    def said(decision: str, reward: float) -> str:
        body = {"outcomes": [{"decision": decision, "reward": reward, "words": "it stayed calm"}]}
        (result,) = client.post("/v1/decisions/outcomes", json=body).json()["results"]
        return str(result["code"])

    assert [said(held, 0.7), said(held, 0.7), said(held, 0.2)] == ["", "", "said-before"]
    assert [said(case, 0.7), said("f" * 32, 0.7)] == ["not-answered", "no-decision"]
    found = client.get(f"/v1/decisions/{held}").json()
    assert (found["outcome"], found["steps"][-1]["detail"]) == ("done", "it stayed calm")


@pytest.mark.parametrize("reward", [-0.1, 1.1, 1e300])
def test_a_reward_that_the_point_cannot_have_is_refused_with_what_it_can_be(
    client: httpx.Client, reward: float
) -> None:
    held = _post(client, "1", data={"load": 5})
    body = {"outcomes": [{"decision": held, "reward": reward}]}
    (result,) = client.post("/v1/decisions/outcomes", json=body).json()["results"]
    assert (result["code"], "`demo.load` is 0 to 1 (done)" in result["message"]) == ("out-of-bounds", True)
    assert client.get(f"/v1/decisions/{held}").json()["outcome"] == ""


@pytest.mark.parametrize("second", [0.7, 0.2])
def test_a_decision_that_is_named_twice_in_a_request_is_refused_and_nothing_of_it_is_taken(
    client: httpx.Client, second: float
) -> None:
    held, other = _post(client, "1", data={"load": 5}), _post(client, "2", data={"load": 6})
    said = [(other, 0.5), (held, 0.7), (held, second)]
    body = {"outcomes": [{"decision": decision, "reward": reward} for decision, reward in said]}
    refused = client.post("/v1/decisions/outcomes", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "named-twice")
    assert held in refused.json()["error"]["message"]
    assert [client.get(f"/v1/decisions/{one}").json()["outcome"] for one in (held, other)] == ["", ""]


@pytest.mark.parametrize("body", [{}, {"outcomes": []}, {"outcomes": [{"decision": "a", "reward": "much"}]}])
def test_an_outcome_that_says_nothing_is_refused(client: httpx.Client, body: dict[str, Any]) -> None:
    assert client.post("/v1/decisions/outcomes", json=body).status_code == 422
