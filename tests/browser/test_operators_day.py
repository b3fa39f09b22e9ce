"""What an operator does in a day, in a real browser."""

import json
from typing import Any

from playwright.sync_api import Page, expect

from tests.managers.uim.conftest import House, event

from .conftest import PATIENCE, Visits

expect.set_options(timeout=PATIENCE)


def _ask(house: House, *subjects: str) -> list[str]:
    """A case for each subject; they are alike, so they are one group."""
    ids = []
    with house.client() as client:
        for subject in subjects:
            body = event(f"about {subject}", subject=subject, data={"load": 50, "gpu": 95})
            ids.append(client.post("/v1/events", json=body).json()["decisions"][0]["id"])
    return ids


def _decided(house: House, id: str) -> dict[str, Any]:
    with house.client() as client:
        found: dict[str, Any] = client.get(f"/v1/decisions/{id}").json()
    return found


def _row(page: Page, name: str) -> Any:
    return page.locator("[data-row]").filter(has_text=name)


def _live(page: Page) -> None:
    expect(page.locator("#pulse")).to_contain_text("Live")


def test_a_case_arrives_on_an_open_page_is_read_overridden_by_keys_and_its_outcome_seen(
    house: House, visit: Visits
) -> None:
    page = visit.signed_in(house, "dana")
    expect(page.get_by_text("Nothing waits for a person.")).to_be_visible()
    _live(page)

    (id,) = _ask(house, "gpu-7")
    expect(_row(page, "relieve is proposed")).to_be_visible()

    page.keyboard.press("j")
    page.keyboard.press("o")
    page.wait_for_url(f"**/cases/{id}")
    expect(page.get_by_text("load is 50%, limit is 80%")).to_be_visible()
    expect(page.get_by_text("If nobody answers, hold answers")).to_be_visible()

    page.keyboard.press("a")
    expect(page.locator("#title").get_by_text("yours")).to_be_visible()
    page.keyboard.press("o")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("hold")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.type("the job ends by itself")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/cases")

    page.get_by_role("link", name="See what comes of it").click()
    expect(page.locator("h1")).to_contain_text("gpu-7: hold")
    expect(page.get_by_text("the job ends by itself").first).to_be_visible()
    found = _decided(house, id)
    assert (found["action"], found["tier"], found["by"]) == ("hold", "operator", "dana")


def test_a_group_is_ticked_and_approved_at_once(house: House, visit: Visits) -> None:
    ids = _ask(house, *(f"gpu-{number}" for number in range(6)))
    page = visit.signed_in(house, "dana")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/cases")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_text("1 ticked")).to_be_visible()
    page.get_by_role("group", name="With the ticked groups").get_by_role("button", name="Approve").click()
    expect(page.get_by_text("6 answered relieve.")).to_be_visible()
    expect(page.get_by_text("Nothing waits for a person.")).to_be_visible()
    assert {_decided(house, id)["action"] for id in ids} == {"relieve"}


def test_of_two_who_answer_at_once_one_wins_and_the_other_is_told(house: House, visit: Visits) -> None:
    (id,) = _ask(house, "gpu-7")
    dana, eli = visit.signed_in(house, "dana"), visit.signed_in(house, "eli")
    for page, action in ((dana, "relieve"), (eli, "hold")):
        page.goto(f"{house.url}/cases/{id}")
        page.get_by_label(action).check()
    dana.get_by_role("button", name="Answer this case").click()
    expect(dana.get_by_text("you answered relieve")).to_be_visible()
    eli.get_by_role("button", name="Answer this case").click()
    expect(eli.locator("h1")).to_contain_text("`relieve` was answered by dana before")
    assert _decided(house, id)["by"] == "dana"


def test_what_a_colleague_takes_is_shown_as_theirs(house: House, visit: Visits) -> None:
    _ask(house, "gpu-7")
    dana, eli = visit.signed_in(house, "dana"), visit.signed_in(house, "eli")
    _live(eli)
    dana.get_by_role("button", name="Acknowledge gpu-7").click()
    expect(_row(dana, "gpu-7").first.get_by_text("yours")).to_be_visible()
    expect(_row(eli, "gpu-7").first.get_by_text("dana")).to_be_visible()


def test_a_page_that_is_cut_off_says_so_still_works_and_catches_up(house: House, visit: Visits) -> None:
    _ask(house, "gpu-1")
    page = visit.signed_in(house, "dana")
    _live(page)
    page.route("**/v1/stream*", lambda route: route.abort())
    house.context.feed.close()  # the server ends its streams, as it does when it is restarted
    expect(page.locator("#pulse")).to_contain_text("Not live since")

    _ask(house, "gpu-2")
    page.get_by_role("button", name="Acknowledge gpu-1").click()
    expect(_row(page, "gpu-1, gpu-2").first.get_by_text("yours")).to_be_visible()

    _ask(house, "gpu-3")
    house.context.feed.closed = False
    page.unroute("**/v1/stream*")
    _live(page)
    expect(_row(page, "3 cases").first).to_be_visible()


def test_what_a_person_types_survives_that_the_page_is_renewed(house: House, visit: Visits) -> None:
    (id, _) = _ask(house, "gpu-1", "gpu-2")
    page = visit.signed_in(house, "dana")
    page.goto(f"{house.url}/cases/{id}")
    _live(page)
    page.get_by_label("Comment", exact=True).fill("half a sentence")
    with house.client() as client:
        client.post(f"/v1/cases/{id}/comment", json={"words": "from elsewhere"})
    expect(page.locator("#history").get_by_text("from elsewhere")).to_be_visible()
    expect(page.get_by_label("Comment", exact=True)).to_have_value("half a sentence")
    expect(page.get_by_label("Comment", exact=True)).to_be_focused()


def test_without_javascript_a_case_is_taken_and_answered(house: House, visit: Visits) -> None:
    (id,) = _ask(house, "gpu-7")
    page = visit.signed_in(house, "dana", java_script_enabled=False)
    page.get_by_role("button", name="Acknowledge gpu-7").click()
    page.get_by_role("link", name="gpu-7").first.click()
    page.get_by_label("hold").check()
    page.get_by_role("button", name="Answer this case").click()
    expect(page.get_by_text("you answered hold")).to_be_visible()
    assert _decided(house, id)["action"] == "hold"


def test_the_content_security_policy_lets_the_page_do_all_that_it_does(house: House, visit: Visits) -> None:
    (id,) = _ask(house, "gpu-7")
    page = visit.signed_in(house, "dana")
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if "Content Security" in message.text else None)
    for path in ("/", "/cases", f"/cases/{id}", "/policy"):
        page.goto(house.url + path)
        _live(page)
    assert json.dumps(refused) == "[]"
