import stat
from pathlib import Path

import httpx
import pytest

from federation.errors import Refused
from managers.uim import tokens

from .conftest import House, event

EVERYWHERE = [
    "/",
    "/v1/decisions",
    "/v1/nodes",
    "/metrics",
    "/readyz",
    "/v1/openapi.json",
    "/nothing",
]


@pytest.mark.parametrize("path", EVERYWHERE)
@pytest.mark.parametrize("token", ["", "Bearer wrong", "Basic abc", "Bearer \xe9"])
def test_nothing_is_told_without_the_token(house: House, path: str, token: str) -> None:
    headers = httpx.Headers({"authorization": token} if token else {}, encoding="latin-1")
    answer = httpx.get(house.url + path, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "token")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_whether_the_process_lives_is_told_to_everybody(house: House) -> None:
    assert httpx.get(f"{house.url}/healthz").json() == {"status": "ok"}


def test_every_wrong_token_is_noted_with_its_address(house: House) -> None:
    httpx.get(f"{house.url}/v1/nodes", headers={"authorization": "Bearer wrong"})
    httpx.post(f"{house.url}/login", data={"token": "wrong"}, headers={"origin": house.url})
    httpx.get(f"{house.url}/v1/nodes")
    assert house.refused == ["127.0.0.1", "127.0.0.1"]


def test_a_blocked_address_is_told_nothing_even_with_the_token(house: House, client: httpx.Client) -> None:
    house.uim.state.blocked = ["127.0.0.1"]
    assert client.get("/v1/nodes").status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example:80"])
def test_a_name_that_is_not_ours_is_refused(client: httpx.Client, host: str) -> None:
    answer = client.get("/healthz", headers={"host": host})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "host")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8600", "LOCALHOST:8600"])
def test_this_machine_goes_by_its_loopback_names(client: httpx.Client, host: str) -> None:
    assert client.get("/healthz", headers={"host": host}).status_code == 200


def test_a_browser_that_nobody_signed_in_with_is_shown_where_to_do_so(house: House) -> None:
    answer = httpx.get(house.url, headers={"accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    deep = httpx.get(f"{house.url}/decisions?point=demo.load", headers={"accept": "text/html"})
    assert deep.headers["location"] == "/login?next=%2Fdecisions%3Fpoint%3Ddemo.load"


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://127.0.0.1:1"])
def test_another_page_cannot_use_the_browsers_cookie(house: House, origin: str) -> None:
    with house.browser() as browser:
        form = {"on": "1", "csrf": house.csrf(browser)}
        browser.headers["origin"] = origin
        answer = browser.post("/freeze", data=form)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin")
        assert not house.federation.gate.state.frozen
        browser.headers["origin"] = house.url
        assert browser.post("/freeze", data=form).status_code == 303
    assert house.federation.gate.state.frozen


def test_a_program_with_the_token_needs_no_origin(client: httpx.Client) -> None:
    assert client.post("/v1/events", json=event()).status_code == 200


def test_no_answer_lets_a_browser_load_anything_from_elsewhere(client: httpx.Client) -> None:
    for path in ("/", "/v1/nodes", "/nothing", "/static/style.css"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_the_token_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    made = tokens.make(tmp_path)
    assert len(made) >= 43
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert tokens.make(tmp_path) == tokens.read(tmp_path) == made


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    tokens.make(tmp_path)
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(Refused, match="other users"):
        tokens.read(tmp_path)
