import json
from collections.abc import Iterator

import httpx
import pytest

from federation.records import Kind, decode
from managers.uim.access import Role, Scope

from ..conftest import House, event

PASSWORD = "correct horse battery staple"


@pytest.fixture
def ada(house: House) -> Iterator[httpx.Client]:
    """An operator's API token with the scopes `read` and `cases`."""
    entrance = house.context.access
    entrance.accounts.add("ada", Role.OPERATOR, PASSWORD)
    secret, _ = entrance.tokens.make("ada", "tests", frozenset({Scope.READ, Scope.CASES}), 30)
    with httpx.Client(base_url=house.url, headers={"authorization": f"Bearer {secret}"}, timeout=60) as made:
        yield made


# -- accounts -------------------------------------------------------------------------------------------------------


def test_an_administrator_adds_an_account_that_can_come_in(client: httpx.Client, house: House) -> None:
    made = client.post("/v1/accounts", json={"name": "grace", "role": "author", "password": PASSWORD})
    assert (made.status_code, made.json()["role"]) == (201, "author")
    assert [a["name"] for a in client.get("/v1/accounts").json()["accounts"]] == ["grace"]
    with house.browser("grace", PASSWORD) as browser:
        assert browser.get("/v1/me").json()["scopes"] == ["bundles", "read"]


@pytest.mark.parametrize(
    ("name", "password", "code"),
    [
        ("Grace", PASSWORD, "bad-name"),
        ("../etc", PASSWORD, "bad-name"),
        ("", PASSWORD, "bad-name"),
        ("ada", "short", "weak-password"),
        ("ada", "", "weak-password"),
        ("ada", "adaadaadaadaadaadaada", "weak-password"),
        ("ada", "aaaaaaaaaaaaaaaaaaaaaaaa", "weak-password"),
        ("ada", "password elias password", "weak-password"),
    ],
)
def test_a_name_or_a_password_that_will_not_do_is_refused(
    client: httpx.Client, name: str, password: str, code: str
) -> None:
    answer = client.post("/v1/accounts", json={"name": name, "role": "viewer", "password": password})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
    assert answer.json()["error"]["cure"]


def test_a_name_is_given_once(client: httpx.Client) -> None:
    grace = {"name": "grace", "password": PASSWORD}
    assert [client.post("/v1/accounts", json=grace).status_code for _ in range(2)] == [201, 409]


def test_nobody_changes_their_own_role_or_locks_themselves_out(house: House) -> None:
    house.context.access.accounts.add("root.admin", Role.ADMIN, PASSWORD)
    with house.browser("root.admin", PASSWORD) as browser:
        headers = {"x-elias-csrf": house.csrf(browser)}
        answer = browser.patch("/v1/accounts/root.admin", json={"disabled": True}, headers=headers)
    assert answer.json()["error"]["code"] == "own-account"


def test_the_pages_do_what_the_api_does(house: House) -> None:
    with house.browser() as browser:
        csrf = {"csrf": house.csrf(browser)}
        grace = {"name": "grace", "role": "viewer", "password": PASSWORD}
        assert browser.post("/accounts", data=grace | csrf).headers["location"] == "/accounts"
        browser.post("/accounts/grace", data={"role": "operator"} | csrf)
        assert house.context.access.accounts.get("grace").role is Role.OPERATOR
        browser.post("/accounts/grace", data={"password": "another long password"} | csrf)
        browser.post("/accounts/grace", data={"disabled": "1"} | csrf)
        assert house.context.access.accounts.get("grace").disabled
        assert browser.post("/accounts/nobody", data={"disabled": "1"} | csrf).status_code == 404
        made = browser.post("/account/tokens", data={"scope": ["read"], "days": "30", "label": "x"} | csrf)
        assert "elias_" in made.text
        page = browser.get("/accounts").text
        assert "POST /accounts/grace" in page
        assert "another long password" not in page


# -- tokens ---------------------------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_does_what_its_scopes_say(house: House, client: httpx.Client) -> None:
    made = client.post("/v1/tokens", json={"scopes": ["events"], "label": "monitor", "days": 1}).json()
    assert made["secret"].startswith(f"elias_{made['id']}_")
    assert made["secret"] not in client.get("/v1/tokens").text
    headers = {"authorization": f"Bearer {made['secret']}"}
    assert httpx.post(f"{house.url}/v1/events", json=event(), headers=headers).status_code == 200
    refused = httpx.get(f"{house.url}/v1/nodes", headers=headers)
    assert refused.status_code == 403
    assert "lacks the scope `read`" in refused.json()["error"]["message"]


@pytest.mark.parametrize("how", ["expiry", "revoked", "disabled", "another secret", "role"])
def test_a_token_is_good_for_nothing_after(house: House, client: httpx.Client, ada: httpx.Client, how: str) -> None:
    assert ada.get("/v1/cases").status_code == 200
    (id,) = [t["id"] for t in client.get("/v1/tokens", params={"all": "true"}).json()["tokens"]]
    if how == "expiry":
        house.clock.advance(30 * 86400)
    elif how == "revoked":
        assert client.delete(f"/v1/tokens/{id}").status_code == 204
    elif how == "disabled":
        client.patch("/v1/accounts/ada", json={"disabled": True})
    elif how == "another secret":
        ada.headers["authorization"] = f"Bearer elias_{id}_{'x' * 43}"
    else:
        client.patch("/v1/accounts/ada", json={"role": "viewer"})
        assert ada.post("/v1/cases/x/answer", json={"action": "hold"}).status_code == 403
        return
    assert ada.get("/v1/cases").status_code == 401


def test_a_token_makes_no_other_token_and_a_person_none_beyond_themselves(house: House, ada: httpx.Client) -> None:
    assert ada.post("/v1/tokens", json={"scopes": ["read"]}).json()["error"]["code"] == "in-person"
    with house.browser("ada", PASSWORD) as browser:
        headers = {"x-elias-csrf": house.csrf(browser)}
        beyond = browser.post("/v1/tokens", json={"scopes": ["accounts"]}, headers=headers)
        assert (beyond.status_code, beyond.json()["error"]["place"]) == (403, "scopes")
        assert browser.post("/v1/tokens", json={"scopes": ["cases"]}, headers=headers).status_code == 201
        assert browser.get("/v1/tokens", params={"all": "true"}).status_code == 403


def test_one_does_not_revoke_what_is_anothers(house: House, client: httpx.Client, ada: httpx.Client) -> None:
    id = client.post("/v1/tokens", json={"scopes": ["read"]}).json()["id"]
    assert ada.delete(f"/v1/tokens/{id}").status_code == 404


@pytest.mark.parametrize("body", [{"scopes": []}, {"scopes": ["all"]}, {"scopes": ["read"], "days": 400}, {}])
def test_a_token_without_a_scope_or_an_end_is_not_made(client: httpx.Client, body: dict[str, object]) -> None:
    assert client.post("/v1/tokens", json=body).status_code == 422


def test_elias_login_is_a_session_that_ends(house: House) -> None:
    house.context.access.accounts.add("ada", Role.OPERATOR, PASSWORD)
    found = httpx.post(f"{house.url}/v1/login", json={"name": "ada", "password": PASSWORD}).json()
    headers = {"authorization": f"Bearer {found['session']}"}
    assert httpx.get(f"{house.url}/v1/me", headers=headers).json()["via"] == "session"
    assert httpx.post(f"{house.url}/v1/logout", headers=headers).status_code == 204
    assert httpx.get(f"{house.url}/v1/me", headers=headers).status_code == 401


# -- the audit trail ------------------------------------------------------------------------------------------------


def trail(house: House) -> list[tuple[str, str, str, int, str]]:
    found = [decode(Kind.ACCESS, record.body) for record in house.store.read(kinds=[Kind.ACCESS])]
    return [(word.what, word.who, word.via, word.status, word.detail) for word in found]


def test_who_changes_something_is_on_record_and_who_reads_is_not(house: House, ada: httpx.Client) -> None:
    ada.get("/v1/nodes")
    ada.post("/v1/cases/x/answer", json={"action": "hold"})  # there is none: nothing was changed
    assert trail(house) == []
    ada.put("/v1/freeze", json={})
    with house.client() as owner:
        owner.put("/v1/freeze", json={"reason": "too hot"})
    assert trail(house) == [
        ("PUT /v1/freeze", "ada", "token", 403, ""),
        ("PUT /v1/freeze", house.context.access.owner.name, "first-day token", 200, ""),
    ]


def test_a_sign_in_is_on_record_and_a_wrong_one_names_no_one_who_is_not_there(house: House) -> None:
    house.context.access.accounts.add("ada", Role.OPERATOR, PASSWORD)
    for name in ("ada", "my secret typed in the wrong field"):
        wrong = {"name": name, "password": "wrong"}
        assert httpx.post(f"{house.url}/v1/login", json=wrong).status_code == 401
    with house.browser("ada", PASSWORD):
        pass
    assert [row[:3] for row in trail(house)] == [
        ("sign-in refused", "ada", "password"),
        ("sign-in refused", "", "password"),
        ("signed in", "ada", "password"),
    ]


def test_nothing_secret_is_in_the_ledger(house: House, client: httpx.Client) -> None:
    client.post("/v1/accounts", json={"name": "ada", "role": "operator", "password": PASSWORD})
    secret = client.post("/v1/tokens", json={"scopes": ["read"]}).json()["secret"]
    link = client.post("/v1/links").json()["path"].partition("=")[2]
    client.put("/v1/accounts/ada/password", json={"new": "another long password"})
    with house.browser("ada", "another long password") as browser:
        session = browser.cookies["elias"]
        csrf = house.csrf(browser)
        browser.post("/freeze", data={"on": "1", "csrf": csrf})
    told = b"".join(record.body for record in house.store.read())
    for hidden in (PASSWORD, "another long password", secret, link, session, csrf, house.token, "$argon2"):
        assert hidden.encode() not in told


def test_the_trail_is_shown_newest_first_page_by_page(client: httpx.Client) -> None:
    for reason in ("one", "two", "three"):
        client.put("/v1/freeze", json={"reason": reason})
    first = client.get("/v1/access", params={"limit": 2}).json()
    rest = client.get("/v1/access", params={"limit": 2, "before": first["next"]}).json()
    assert [len(first["records"]), len(rest["records"]), rest["next"]] == [2, 1, None]
    assert json.dumps(first).count("127.0.0.1") == 2


def test_an_answer_carries_the_name_of_who_is_signed_in(house: House, client: httpx.Client) -> None:
    house.context.access.accounts.add("ada", Role.OPERATOR, PASSWORD)
    sent = client.post("/v1/events", json=event(data={"load": 50, "gpu": 95})).json()
    id = sent["decisions"][0]["id"]
    with house.browser("ada", PASSWORD) as browser:
        headers = {"x-elias-csrf": house.csrf(browser)}
        forged = browser.post(f"/v1/cases/{id}/answer", json={"action": "hold", "by": "bob"}, headers=headers)
        assert forged.status_code == 422
        browser.post(f"/v1/cases/{id}/answer", json={"action": "hold"}, headers=headers)
    assert client.get(f"/v1/decisions/{id}").json()["by"] == "ada"
