"""Policies on trial: what the API and the page show of them, and the word that ends a trial."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from federation.manager import Emission
from federation.policy.promotions import Estimate, Registered
from federation.policy.registry import Stage, Step
from federation.records import Kind, decode
from managers.ulm.manager import Ulm

from .conftest import House

VERSION, POINT = "ab" * 32, "demo.load"
CAME_IN = Registered(
    policy=VERSION,
    content="cd" * 32,
    name="mini",
    parameters=891_000,
    preset={},
    data={"digest": "ef" * 32},
    metrics={"overall": {"accuracy": 0.9}},
    calibration="12" * 32,
    points={POINT: 1},
    estimates={POINT: Estimate(12.5, 3.1, None, 900)},
    signers=["ada"],
    source="runs/new",
    by="ada",
    at=0,
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, Ulm)
    yield made
    made.close()


@pytest.fixture
def client(house: House) -> Iterator[httpx.Client]:
    with house.browser() as made:
        yield made


@pytest.fixture
def api(house: House) -> Iterator[httpx.Client]:
    with house.client() as made:
        yield made


def step(house: House, to: Step, policy: Registered = CAME_IN) -> None:
    ulm = house.federation.desks["ulm"].manager
    assert isinstance(ulm, Ulm)
    if policy.policy not in ulm.state.trials.policies:
        house.federation.note(Emission(Kind.POLICY, "", "", "", policy), "ulm")
    said = ulm.trials.word(ulm.state.trials, POINT, policy.policy, to, by="ada", reason="try it", at=house.clock.now())
    house.federation.note(said, "ulm")


def test_without_a_trial_the_page_says_how_one_begins(client: httpx.Client) -> None:
    assert "elias policy register FOLDER" in client.get("/policy").text
    assert client.get("/v1/policies").json() == {"policies": [], "points": [], "waiting": []}


def test_the_api_tells_who_answers_and_who_is_on_trial(house: House, client: httpx.Client) -> None:
    step(house, Step(Stage.CANARY, 0.05))
    found = client.get("/v1/policies").json()
    (policy,) = found["policies"]
    assert (policy["policy"], policy["signers"], policy["estimates"][POINT]["low"]) == (VERSION, ["ada"], 3.1)
    (point,) = found["points"]
    assert (point["point"], point["champion"]) == (POINT, "")
    assert (point["trial"]["stage"], point["trial"]["share"]) == ("canary", 0.05)


def test_the_page_shows_the_canary_with_its_evidence_and_a_button_ends_it(house: House, client: httpx.Client) -> None:
    step(house, Step(Stage.CANARY, 0.05))
    page = client.get("/policy").text
    assert "canary, 5 % of the units" in page
    assert 'aria-label="evidence at demo.load: worse 0.0, better 0.0, enough 3.0"' in page
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    answer = client.post("/policy/rollback", data={**fields, "point": POINT})
    assert answer.status_code == 303
    newest = decode(Kind.PROMOTION, house.store.latest(1, kinds=[Kind.PROMOTION])[0].body)
    assert (newest.stage, newest.challenger, newest.reason) == ("withdrawn", VERSION, "on the page")
    assert "End the trial" not in client.get("/policy").text


def test_a_champion_can_be_sent_back_and_nothing_below_it(
    house: House, client: httpx.Client, api: httpx.Client
) -> None:
    step(house, Step(Stage.CHAMPION, 1.0))
    assert "Back to the champion before" in client.get("/policy").text
    body = {"point": POINT, "reason": "odd"}
    assert api.post("/v1/policies/rollback", json=body).status_code == 200
    again = api.post("/v1/policies/rollback", json=body)
    assert again.status_code >= 400
    assert "no champion before" in again.json()["error"]["message"]


def test_the_button_pressed_twice_ends_the_trial_and_leaves_the_champion(house: House, client: httpx.Client) -> None:
    step(house, Step(Stage.CHAMPION, 1.0))
    other = msgspec.structs.replace(CAME_IN, policy="cd" * 32)
    step(house, Step(Stage.CANARY, 0.05), other)
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', client.get("/policy").text))
    client.post("/policy/rollback", data=fields)
    client.post("/policy/rollback", data=fields)
    (point,) = client.get("/v1/policies").json()["points"]
    assert (point["champion"], point["trial"]) == (VERSION, None)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"policy": "../../etc/passwd"}),
        ("/promote", {"policy": "abc", "point": POINT}),
        ("/promote", {"policy": VERSION, "point": POINT, "to": "the moon"}),
        ("/rollback", {"point": "x" * 65}),
        ("/rollback", {"point": POINT, "step": -1}),
    ],
)
def test_words_that_make_no_sense_are_refused(api: httpx.Client, path: str, body: dict[str, str]) -> None:
    assert api.post(f"/v1/policies{path}", json=body).status_code == 422
