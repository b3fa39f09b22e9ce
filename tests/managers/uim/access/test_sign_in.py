import re
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from managers.uim.access import Role
from managers.uim.web.login import inside

from ..conftest import House, event

PASSWORD = "correct horse battery staple"
HOUR = 3600  # seconds


@pytest.fixture
def ada(house: House) -> House:
    """A house in which Ada is an operator."""
    house.context.access.accounts.add("ada", Role.OPERATOR, PASSWORD)
    return house


@pytest.fixture
def page(house: House) -> Iterator[httpx.Client]:
    """A browser that has not signed in."""
    with httpx.Client(base_url=house.url, headers={"accept": "text/html", "origin": house.url}, timeout=60) as made:
        yield made


def sign_in(page: httpx.Client, name: str = "ada", password: str = PASSWORD, **more: str) -> httpx.Response:
    return page.post("/login", data={"name": name, "password": password, **more})


# -- coming in ------------------------------------------------------------------------------------------------------


def test_a_name_and_its_password_sign_a_browser_in(ada: House, page: httpx.Client) -> None:
    answer = sign_in(page)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert page.get("/v1/me").json()["name"] == "ada"


def test_a_session_is_kept_as_a_hash_and_a_password_by_argon2(ada: House, page: httpx.Client) -> None:
    sign_in(page)
    (cookie,) = page.cookies.jar
    kept = b"".join(path.read_bytes() for path in ada.settings.state.glob("access.db*"))
    assert (cookie.value or "-").encode() not in kept
    assert PASSWORD.encode() not in kept
    assert b"$argon2id$" in kept


@pytest.mark.parametrize(
    ("name", "password"), [("ada", "wrong"), ("ada", ""), ("ADA ", "no"), ("nobody", PASSWORD), ("x" * 500, "y" * 9000)]
)
def test_what_does_not_belong_together_is_refused_without_saying_why(
    ada: House, page: httpx.Client, name: str, password: str
) -> None:
    answer = sign_in(page, name, password)
    assert answer.status_code == 401
    assert "this name and password do not belong together" in answer.text
    assert "set-cookie" not in answer.headers
    assert ada.refused == ["127.0.0.1"]


def test_a_disabled_account_comes_in_no_more_and_its_session_is_over(ada: House, page: httpx.Client) -> None:
    sign_in(page)
    with ada.client() as owner:
        assert owner.patch("/v1/accounts/ada", json={"disabled": True}).status_code == 200
        assert page.get("/v1/me").status_code == 401
        assert sign_in(page).status_code == 401
        owner.patch("/v1/accounts/ada", json={"disabled": False})
    assert sign_in(page).status_code == 303


def test_another_role_counts_from_the_next_request_on(ada: House, page: httpx.Client) -> None:
    sign_in(page)
    with ada.client() as owner:
        owner.patch("/v1/accounts/ada", json={"role": "viewer"})
    assert page.get("/v1/me").json()["scopes"] == ["read"]


def test_a_login_form_of_another_page_is_refused(ada: House, page: httpx.Client) -> None:
    page.headers["origin"] = "http://evil.example"
    assert sign_in(page).status_code == 403


# -- guessing -------------------------------------------------------------------------------------------------------


def test_who_guesses_waits_longer_each_time_and_is_not_even_heard_meanwhile(ada: House, page: httpx.Client) -> None:
    for _ in range(5):
        assert sign_in(page, password="wrong").status_code == 401
    waits = []
    for _ in range(4):
        answer = sign_in(page)  # the right one, and yet
        assert answer.status_code == 429
        waits.append(int(answer.headers["retry-after"]))
        ada.clock.advance(waits[-1])
        assert sign_in(page, password="wrong").status_code == 401
    assert waits == [1, 2, 4, 8]
    ada.clock.advance(HOUR)
    assert sign_in(page).status_code == 303


def test_an_account_waits_a_minute_at_most_whoever_guesses_from_wherever(ada: House) -> None:
    entrance = ada.context.access
    now = ada.clock.now()
    for _ in range(1000):
        entrance._by_account.failed("ada", now)
    assert entrance._by_account.wait("ada", now) == 60


def test_the_api_is_as_slow_to_guess_at(ada: House) -> None:
    wrong = {"name": "ada", "password": "wrong"}
    answers = [httpx.post(f"{ada.url}/v1/login", json=wrong).status_code for _ in range(7)]
    assert answers == [401] * 5 + [429] * 2


def test_wrong_tokens_and_links_slow_an_address_down_as_well(house: House, page: httpx.Client) -> None:
    answers = [page.post("/login", data={"token": "wrong"}).status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]
    assert page.post("/login", data={"token": house.token}).status_code == 429


# -- sessions -------------------------------------------------------------------------------------------------------


def test_a_session_that_somebody_planted_is_worth_nothing_after_the_sign_in(ada: House, page: httpx.Client) -> None:
    with ada.browser() as attacker:
        (planted,) = [c.value or "" for c in attacker.cookies.jar]
        page.cookies.set("elias", planted)
        sign_in(page)
        after = [cookie.value for cookie in page.cookies.jar][-1]
        assert after != planted
        assert attacker.get("/v1/me").status_code == 401


@pytest.mark.parametrize("planted", ["x", "a" * 43, '"; elias=1', "elias_000000000000_" + "a" * 43])
def test_an_id_that_was_not_made_here_is_no_session(ada: House, planted: str) -> None:
    assert httpx.get(f"{ada.url}/v1/me", headers={"cookie": f"elias={planted}"}).status_code == 401


def test_a_session_ends_when_it_was_idle_and_in_any_case_after_a_week(ada: House, page: httpx.Client) -> None:
    sign_in(page)
    for _ in range(14):
        ada.clock.advance(11 * HOUR)
        assert page.get("/v1/me").status_code == 200
    ada.clock.advance(11 * HOUR)
    assert page.get("/v1/me").json()["name"] == "ada"
    ada.clock.advance(4 * HOUR)
    assert page.get("/v1/me").status_code == 401
    sign_in(page)
    ada.clock.advance(13 * HOUR)
    assert page.get("/v1/me").status_code == 401


def test_signing_out_ends_the_session_not_only_the_cookie(ada: House) -> None:
    with ada.browser("ada", PASSWORD) as browser:
        session = browser.cookies["elias"]
        assert browser.post("/logout", data={"csrf": ada.csrf(browser)}).headers["location"] == "/login"
        assert httpx.get(f"{ada.url}/v1/me", headers={"cookie": f"elias={session}"}).status_code == 401


def test_a_new_password_ends_the_other_sessions(ada: House, page: httpx.Client) -> None:
    sign_in(page)
    with ada.browser("ada", PASSWORD) as other:
        new = {"old": PASSWORD, "new": "another long password", "again": "another long password"}
        assert page.post("/account/password", data=new | {"csrf": ada.csrf(page)}).status_code == 303
        assert other.get("/v1/me").status_code == 401
    assert page.get("/v1/me").status_code == 200
    assert sign_in(page, password=PASSWORD).status_code == 401


def test_one_sees_where_one_is_signed_in_and_ends_it_there(ada: House, page: httpx.Client) -> None:
    sign_in(page)
    with ada.browser("ada", PASSWORD) as other:
        (id,) = re.findall(r'action="/account/sessions/(\w+)/end"', page.get("/account").text)
        page.post(f"/account/sessions/{id}/end", data={"csrf": ada.csrf(page)})
        assert other.get("/v1/me").status_code == 401
    assert page.get("/v1/me").status_code == 200


# -- forms ----------------------------------------------------------------------------------------------------------


TWICE = {"csrf": ["", ""]}


@pytest.mark.parametrize("given", [{}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "ä"}, TWICE])
def test_a_form_without_the_token_of_the_session_changes_nothing(ada: House, given: dict[str, object]) -> None:
    with ada.browser("ada", PASSWORD) as browser:
        right = ada.csrf(browser)
        form = {k: [right, right] if isinstance(v, list) else v for k, v in given.items()}
        answer = browser.post("/freeze", data={"on": "1", **form})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "csrf")
        assert not ada.federation.gate.state.frozen


def test_the_token_of_another_session_is_no_good(ada: House) -> None:
    with ada.browser("ada", PASSWORD) as one, ada.browser() as other:
        answer = one.post("/freeze", data={"on": "1", "csrf": ada.csrf(other)})
    assert answer.json()["error"]["code"] == "csrf"


def test_json_with_a_cookie_needs_the_token_in_a_header(ada: House) -> None:
    with ada.browser("ada", PASSWORD) as browser:
        assert browser.post("/v1/events", json=event()).json()["error"]["code"] == "csrf"
        headers = {"x-elias-csrf": ada.csrf(browser)}
        assert browser.post("/v1/events", json=event(), headers=headers).status_code == 200


def test_every_form_that_posts_carries_the_token(ada: House) -> None:
    with ada.browser() as browser:
        headers = {"x-elias-csrf": ada.csrf(browser)}
        browser.post("/v1/events", json=event(data={"load": 50, "gpu": 95}), headers=headers)
        for path in ("/", "/cases", "/account", "/accounts", "/settings", "/managers", "/specs", "/apps"):
            text = browser.get(path).text
            forms = re.findall(r'<form[^>]*method="post".*?</form>', text, re.DOTALL)
            assert forms
            assert all('name="csrf" value="' in form for form in forms), path


# -- where to -------------------------------------------------------------------------------------------------------

ELSEWHERE = [
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\r\nLocation: https://evil.example",
    "javascript:alert(1)",
    "/a\tb",
    "",
    "/login",
    "/logout",
    "cases",
    "/" + "a" * 3000,
]


@pytest.mark.parametrize("next", ELSEWHERE)
def test_after_the_sign_in_nobody_is_led_elsewhere(ada: House, page: httpx.Client, next: str) -> None:
    assert inside(next) == "/"
    assert sign_in(page, next=next).headers["location"] == "/"


def test_after_the_sign_in_one_is_where_one_wanted_to_be(ada: House, page: httpx.Client) -> None:
    there = page.get("/decisions?point=demo.load").headers["location"]
    assert there == f"/login?next={quote('/decisions?point=demo.load', safe='')}"
    (next,) = re.findall(r'name="next" value="([^"]*)"', page.get(there).text)[:1]
    assert sign_in(page, next=next).headers["location"] == "/decisions?point=demo.load"


# -- the first day --------------------------------------------------------------------------------------------------


def test_a_link_signs_one_browser_in_and_then_no_other(house: House, page: httpx.Client) -> None:
    with house.client() as owner:
        path = owner.post("/v1/links").json()["path"]
    assert "Sign in as the owner" in page.get(path).text  # to look at it does not use it up
    link = path.partition("=")[2]
    assert page.post("/login", data={"link": link}).headers["location"] == "/"
    assert page.get("/v1/me").json()["role"] == "admin"
    with httpx.Client(base_url=house.url, headers={"origin": house.url}, timeout=60) as other:
        assert "used before" in other.post("/login", data={"link": link}).text


def test_a_link_is_good_for_a_quarter_of_an_hour(house: House, page: httpx.Client) -> None:
    with house.client() as owner:
        path = owner.post("/v1/links").json()["path"]
    house.clock.advance(15 * 60)
    assert page.post("/login", data={"link": path.partition("=")[2]}).status_code == 401


def test_the_token_of_the_state_folder_signs_its_owner_in(house: House) -> None:
    with house.browser() as browser:
        assert browser.get("/v1/me").json()["via"] == "session"
        assert house.token not in str(browser.cookies)


# -- behind a proxy -------------------------------------------------------------------------------------------------


def test_behind_a_proxy_it_is_the_proxy_who_says_who_asks(tmp_path_factory: pytest.TempPathFactory) -> None:
    from federation.settings import Listen

    made = House(tmp_path_factory.mktemp("proxy"))
    made.context.settings = made.settings.model_copy(update={"listen": Listen(behind_proxy=True)})
    try:
        headers = {"authorization": "Bearer wrong", "x-forwarded-for": "6.6.6.6, 10.0.0.9"}
        httpx.get(f"{made.url}/v1/me", headers=headers)
        assert made.refused == ["10.0.0.9"]
    finally:
        made.close()


def test_without_a_proxy_nobody_can_say_that_they_are_somebody_else(house: House) -> None:
    httpx.get(f"{house.url}/v1/me", headers={"authorization": "Bearer wrong", "x-forwarded-for": "10.0.0.9"})
    assert house.refused == ["127.0.0.1"]
