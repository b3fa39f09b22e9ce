import getpass
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

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


# -- groups -------------------------------------------------------------------------------------------------------


def _storm(client: httpx.Client, count: int) -> list[str]:
    batch = [event(f"s{n}", subject=f"n{n}", data={"load": 50, "gpu": 95}) for n in range(count)]
    headers = {"content-type": "application/cloudevents-batch+json"}
    results = []
    for at in range(0, count, 500):
        results += client.post("/v1/events", json=batch[at : at + 500], headers=headers).json()["results"]
    return [result["decisions"][0]["id"] for result in results]


def test_a_storm_is_one_group_and_is_answered_case_by_case_at_once(client: httpx.Client) -> None:
    ids = _storm(client, 1200)
    (group,) = client.get("/v1/cases/groups").json()["groups"]
    assert (group["id"], group["open"]) == (ids[0], 1200)
    first = client.post(f"/v1/cases/groups/{ids[7]}/answer", json={"action": "hold", "words": "a switch"}, timeout=60)
    done = first.json()
    assert {result["status"] for result in done["results"]} == {"answered"}
    assert (len(done["results"]), done["left"]) == (500, 700)
    assert client.get("/v1/cases/groups").json()["counts"]["cases"] == 700


def test_every_case_of_a_storm_is_on_one_of_the_pages(client: httpx.Client) -> None:
    ids = _storm(client, 130)
    client.post("/v1/events", json=event("other", subject="x", data={"load": 50, "gpu": 95}))
    found: list[str] = []
    after = ""
    while True:
        page = client.get("/v1/cases", params={"limit": 50, "after": after}).json()
        found += [case["id"] for case in page["cases"]]
        after = page["next"]
        if not after:
            break
    assert len(found) == len(set(found)) == 131
    assert set(ids) <= set(found)


@pytest.mark.parametrize("after", ["x", "1 2", "1 2 3/4", "9" * 100, "-1 2 3"])
@pytest.mark.parametrize("path", ["/v1/cases", "/v1/cases/groups"])
def test_a_cursor_that_is_none_is_refused(client: httpx.Client, path: str, after: str) -> None:
    _storm(client, 2)
    assert client.get(path, params={"after": after}).status_code in (200, 422)


def test_a_bulk_tells_what_became_of_each_case(client: httpx.Client) -> None:
    ids = _storm(client, 3)
    client.post(f"/v1/cases/{ids[1]}/answer", json={"action": "relieve"})
    body = {"action": "hold", "cases": [*ids, "f" * 32]}
    results = client.post(f"/v1/cases/groups/{ids[0]}/answer", json=body).json()["results"]
    assert [(r["status"], r["code"]) for r in results] == [
        ("answered", ""),
        ("refused", "no-case"),
        ("answered", ""),
        ("refused", "no-case"),
    ]
    assert "answered by" in results[1]["message"]


def test_a_bulk_without_an_action_takes_what_was_proposed_and_says_where_nothing_was(client: httpx.Client) -> None:
    """The one thing that may be done is the proposal; between several there is none."""
    ids = _storm(client, 2)
    results = client.post(f"/v1/cases/groups/{ids[0]}/answer", json={}).json()["results"]
    assert [(r["status"], r["action"]) for r in results] == [("answered", "relieve")] * 2


def test_two_people_who_answer_at_once_give_one_answer(house: House) -> None:
    with house.client() as client:
        ids = [_case(client, str(n)) for n in range(8)]
    with house.client() as ada, house.client() as bob, ThreadPoolExecutor(2) as both:
        for id in ids:
            given = [
                both.submit(one.post, f"/v1/cases/{id}/answer", json={"action": action})
                for one, action in ((ada, "relieve"), (bob, "hold"))
            ]
            answers = [one.result() for one in given]
            assert sorted(answer.status_code for answer in answers) == [200, 409]
            (told,) = [answer.json()["error"] for answer in answers if answer.status_code == 409]
            (winner,) = [answer.json()["decisions"][0] for answer in answers if answer.status_code == 200]
            assert told["code"] == "already-answered"
            assert f"`{winner['action']}` was answered by" in told["message"]
            kinds = [record.header.kind for record in house.store.decision(id)]
            assert (kinds.count("answered"), kinds.count("case")) == (1, 1)


def test_a_late_answer_is_on_record_and_changes_nothing(client: httpx.Client, house: House) -> None:
    id = _case(client)
    client.post(f"/v1/cases/{id}/answer", json={"action": "hold"})
    late = client.post(f"/v1/cases/{id}/answer", json={"action": "relieve", "words": "too hot"})
    assert "yours is on record and changes nothing" in late.json()["error"]["message"]
    assert client.get(f"/v1/decisions/{id}").json()["action"] == "hold"
    group = house.uim.book.group(id)
    assert group is not None
    assert [(word.what, word.action, word.words) for word in group.words] == [("late", "relieve", "too hot")]


def test_who_has_a_group_is_one_person_and_the_other_is_told(client: httpx.Client, house: House) -> None:
    id = _case(client)
    taken = client.post(f"/v1/cases/{id}/acknowledge", json={"words": "I look"}).json()
    me = getpass.getuser()
    assert (taken["holder"], taken["acknowledged"]) == (me, True)
    assert client.post(f"/v1/cases/{id}/assign", json={"to": "bob"}).json()["holder"] == "bob"
    again = client.post(f"/v1/cases/{id}/acknowledge", json={})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "taken")
    assert "bob has it" in again.json()["error"]["message"]
    assert client.post(f"/v1/cases/{id}/acknowledge", json={"take": True}).json()["holder"] == me
    assert client.post(f"/v1/cases/{id}/snooze", json={"seconds": 3600}).json()["snoozed"]
    assert client.post(f"/v1/cases/{id}/comment", json={"words": "the fan is loud"}).status_code == 200
    assert client.post(f"/v1/cases/{id}/delegate", json={"to": "eve"}).json()["holder"] == "eve"
    assert client.post(f"/v1/cases/{id}/release", json={"take": True}).json()["holder"] == ""
    said = [word["what"] for word in client.get(f"/v1/cases/groups/{id}").json()["words"]]
    assert said == [
        "acknowledged",
        "assigned",
        "acknowledged",
        "snoozed",
        "commented",
        "delegated",
        "released",
    ]


def test_mine_is_what_i_have(client: httpx.Client) -> None:
    id = _case(client)
    assert client.get("/v1/cases/groups", params={"holder": "me"}).json()["groups"] == []
    client.post(f"/v1/cases/{id}/acknowledge", json={})
    assert [g["id"] for g in client.get("/v1/cases/groups", params={"holder": "me"}).json()["groups"]] == [id]
    assert [c["id"] for c in client.get("/v1/cases", params={"holder": "me"}).json()["cases"]] == [id]


def test_what_was_proposed_is_approved_and_anything_else_needs_a_reason(client: httpx.Client) -> None:
    first, second = _case(client), _case(client, "2")
    assert client.get("/v1/cases").json()["cases"][0]["proposal"]["action"] == "relieve"
    same = client.post(f"/v1/cases/{first}/override", json={"action": "relieve", "words": "why not"})
    assert (same.status_code, same.json()["error"]["code"]) == (422, "no-override")
    assert client.post(f"/v1/cases/{first}/override", json={"action": "hold"}).status_code == 422
    body = {"action": "hold", "words": "it cools by itself"}
    assert client.post(f"/v1/cases/{first}/override", json=body).json()["decisions"][0]["action"] == "hold"
    assert client.post(f"/v1/cases/{second}/approve", json={}).json()["decisions"][0]["action"] == "relieve"


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("acknowledge", {"words": "x" * 2001}),
        ("assign", {}),
        ("assign", {"to": "x" * 65}),
        ("assign", {"to": ""}),
        ("snooze", {"seconds": 1}),
        ("snooze", {"seconds": 10**9}),
        ("comment", {"words": ""}),
        ("answer", {"action": ""}),
        ("answer", {"action": "hold", "args": {str(n): n for n in range(17)}}),
        ("approve", {"surprise": 1}),
    ],
)
def test_what_is_said_has_its_limits(client: httpx.Client, what: str, body: dict[str, Any]) -> None:
    assert client.post(f"/v1/cases/{_case(client)}/{what}", json=body).status_code == 422


def test_a_bulk_takes_no_more_than_its_limit(client: httpx.Client) -> None:
    id = _case(client)
    body = {"action": "hold", "cases": [id] * 501}
    assert client.post(f"/v1/cases/groups/{id}/answer", json=body).status_code == 422


def test_who_is_on_call_is_told_with_the_shifts_to_come(tmp_path: Path) -> None:
    plan = {
        "people": {"ada": {"through": ["hook"]}, "bob": {"through": ["hook"]}},
        "schedules": {"duty": {"layers": [{"people": ["ada", "bob"], "starts": "2023-11-13T09:00", "rotate": "1d"}]}},
    }
    targets = {"hook": {"kind": "webhook", "url": "http://127.0.0.1:1/"}}
    house = House(tmp_path, escalation=plan, targets=targets)
    with house.client() as client:
        (duty,) = client.get("/v1/cases/on-call", params={"days": 2}).json()["schedules"]
    house.close()
    assert (duty["schedule"], duty["person"]) == ("duty", "bob")
    assert [shift["person"] for shift in duty["shifts"]] == ["bob", "ada", "bob"]
