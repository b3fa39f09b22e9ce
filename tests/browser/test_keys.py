"""Keys are a shorter way, never the only one, and never in the way."""

import pytest
from playwright.sync_api import expect

from tests.managers.uim.conftest import House

from .conftest import PATIENCE, Visits
from .test_operators_day import _ask

expect.set_options(timeout=PATIENCE)


@pytest.mark.parametrize(("key", "path"), [("c", "/cases"), ("n", "/nodes"), ("l", "/ledger"), ("o", "/")])
def test_g_and_a_letter_go_to_a_page(house: House, visit: Visits, key: str, path: str) -> None:
    page = visit.signed_in(house, "dana")
    page.goto(f"{house.url}/settings")
    page.keyboard.press("g")
    page.keyboard.press(key)
    page.wait_for_url(house.url + path)


def test_the_help_lists_the_keys_and_closes_with_escape(house: House, visit: Visits) -> None:
    page = visit.signed_in(house, "dana")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_letters_that_are_typed_into_a_field_do_nothing_else(house: House, visit: Visits) -> None:
    _ask(house, "gpu-1")
    page = visit.signed_in(house, "dana")
    page.keyboard.press("/")
    page.keyboard.type("gas jokes?")
    expect(page.locator("#find")).to_have_value("gas jokes?")
    page.keyboard.press("Escape")
    expect(page.locator("#find")).not_to_be_focused()
    assert page.url == f"{house.url}/"


def test_keys_can_be_turned_off(house: House, visit: Visits) -> None:
    page = visit.signed_in(house, "dana")
    page.goto(f"{house.url}/settings")
    page.get_by_label("off: only the keys of the browser").check()
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_text("This browser keeps that.")).to_be_visible()
    page.keyboard.press("?")
    page.keyboard.press("g")
    page.keyboard.press("n")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.url == f"{house.url}/settings"


def test_with_the_tab_key_alone_one_comes_through_a_page_and_out_of_it(house: House, visit: Visits) -> None:
    _ask(house, "gpu-1")
    page = visit.signed_in(house, "dana")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    page.keyboard.press("Enter")
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement === document.body ? 'end' : document.activeElement.outerHTML")
        )
        if seen[-1] == "end":
            break
    assert seen[-1] == "end"
    assert len(set(seen)) == len(seen)
