"""Sign-in by an identity provider: a strict one of our own, over real HTTP."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from federation.access import AccessSettings, Oidc
from managers.uim.access import Role

from ..conftest import House

CLIENT, SECRET = "elias", "a client secret that nobody guesses"
RIGHT = {"preferred_username": "Grace", "groups": ["people", "oncall"]}
Change = Callable[[dict[str, Any]], Any]


class Provider:
    """Does just what OpenID Connect asks of one, and refuses a client that is not exact. Tests change what it says."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = "first"
        self.claims: dict[str, Any] = dict(RIGHT)
        self.signs: Callable[[dict[str, Any]], str] = self.signed
        self.document: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.complaints: list[str] = []
        handler = type("Handler", (_Handler,), {"provider": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def discovery(self) -> dict[str, Any]:
        names = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
        return {"issuer": self.issuer, **{k: self.issuer + v for k, v in names.items()}, **self.document}

    def keys(self) -> dict[str, Any]:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [public | {"kid": self.kid, "use": "sig", "alg": "RS256"}]}

    def authorize(self, query: dict[str, str]) -> str:
        """What a person who agrees is sent back to."""
        wanted = {"response_type": "code", "client_id": CLIENT, "code_challenge_method": "S256"}
        self.complaints += [f"{k} is {query.get(k)}" for k, v in wanted.items() if query.get(k) != v]
        self.complaints += [f"no {k}" for k in ("state", "nonce", "code_challenge") if len(query.get(k, "")) < 40]
        if "openid" not in query["scope"].split():
            self.complaints.append("no openid")
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state'], 'iss': self.issuer})}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """None: the client is not the one that began, or does not prove it."""
        begun = self.codes.pop(form.get("code", ""), None)  # a code is good once
        basic = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if begun is None or authorization.replace("%20", " ") != basic:
            return None
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != begun["code_challenge"]:
            return None
        if form.get("redirect_uri") != begun["redirect_uri"] or form.get("grant_type") != "authorization_code":
            return None
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "7", "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": begun["nonce"]}
        return {"access_token": "x", "token_type": "Bearer", "id_token": self.signs(claims | self.claims)}

    def signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self.key, "RS256", headers={"kid": self.kid})


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/authorize":
            self.send_response(302)
            self.send_header("Location", self.provider.authorize(dict(parse_qsl(query))))
            self.end_headers()
        elif path == "/.well-known/openid-configuration":
            self._send(self.provider.discovery())
        else:
            self._send(self.provider.keys() if path == "/keys" else None)

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
        self._send(self.provider.token(form, self.headers.get("authorization", "")))

    def _send(self, body: dict[str, Any] | None) -> None:
        data = json.dumps(body or {"error": "invalid_grant"}).encode()
        self.send_response(200 if body else 400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.close()


@pytest.fixture
def house(provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("TEST_OIDC_SECRET", SECRET)
    roles = {"oncall": "operator", "everybody": "viewer", "chiefs": "admin"}
    oidc = Oidc(issuer=provider.issuer, client_id=CLIENT, secret_env="TEST_OIDC_SECRET", roles=roles)
    made = House(tmp_path, access=AccessSettings(oidc=oidc))
    yield made
    made.close()


@pytest.fixture
def browser(house: House) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=house.url, headers={"accept": "text/html", "origin": house.url}, timeout=60) as made:
        yield made


def agree(browser: httpx.Client, next: str = "/") -> str:
    """Go to the provider and agree; the address at which it sends the browser back."""
    away = browser.get("/login/oidc", params={"next": next})
    assert away.status_code == 303
    return httpx.get(away.headers["location"]).headers["location"]


def test_who_the_provider_vouches_for_comes_in_with_the_role_of_their_group(
    house: House, provider: Provider, browser: httpx.Client
) -> None:
    assert "Sign in with your organisation" in browser.get("/login").text
    answer = browser.get(agree(browser, "/cases"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/cases")
    me = browser.get("/v1/me").json()
    assert (me["name"], me["role"]) == ("grace", "operator")
    assert provider.complaints == []


def test_of_several_groups_the_one_that_may_do_most_counts_and_each_sign_in_asks_anew(
    house: House, provider: Provider, browser: httpx.Client
) -> None:
    provider.claims["groups"] = ["everybody", "chiefs", "oncall"]
    browser.get(agree(browser))
    assert browser.get("/v1/me").json()["role"] == "admin"
    provider.claims["groups"] = ["everybody"]
    browser.get(agree(browser))
    assert browser.get("/v1/me").json()["role"] == "viewer"


def test_who_is_in_no_group_that_counts_does_not_come_in(
    house: House, provider: Provider, browser: httpx.Client
) -> None:
    provider.claims["groups"] = ["people"]
    answer = browser.get(agree(browser))
    assert (answer.status_code, "in no group" in answer.text) == (422, True)
    assert browser.get("/v1/me").status_code == 401


def test_nobody_takes_over_an_account_by_its_name(house: House, provider: Provider, browser: httpx.Client) -> None:
    house.context.access.accounts.add("grace", Role.ADMIN, "correct horse battery staple")
    assert "there is an account" in browser.get(agree(browser)).text
    assert browser.get("/v1/me").status_code == 401


def test_a_disabled_account_stays_out(house: House, provider: Provider, browser: httpx.Client) -> None:
    browser.get(agree(browser))
    with house.client() as owner:
        owner.patch("/v1/accounts/grace", json={"disabled": True})
    assert browser.get(agree(browser)).status_code == 403


def _other_key(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, rsa.generate_private_key(65537, 2048), "RS256", headers={"kid": "first"})


BAD: dict[str, Change] = {
    "nonce": lambda p: p.claims.update(nonce="another"),
    "audience": lambda p: p.claims.update(aud="another client"),
    "authorized party": lambda p: p.claims.update(aud=[CLIENT, "x"], azp="x"),
    "no authorized party": lambda p: p.claims.update(aud=[CLIENT, "x"]),
    "issuer": lambda p: p.claims.update(iss="https://evil.example"),
    "expired": lambda p: p.claims.update(exp=int(time.time()) - 600),
    "no expiry": lambda p: p.claims.update(exp=None),
    "not signed": lambda p: setattr(p, "signs", lambda c: jwt.encode(c, None, "none")),
    "signed with the client secret": lambda p: setattr(p, "signs", lambda c: jwt.encode(c, SECRET * 2, "HS256")),
    "signed by somebody else": lambda p: setattr(p, "signs", _other_key),
    "of another kind of key": lambda p: setattr(
        p, "signs", lambda c: jwt.encode(c, ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": "first"})
    ),
    "no token at all": lambda p: setattr(p, "signs", lambda c: "x.y.z"),
}


@pytest.mark.parametrize("what", BAD)
def test_an_id_token_that_is_not_just_right_lets_nobody_in(
    house: House, provider: Provider, browser: httpx.Client, what: str
) -> None:
    BAD[what](provider)
    answer = browser.get(agree(browser))
    assert (answer.status_code, "ID token" in answer.text) == (422, True)
    assert browser.get("/v1/me").status_code == 401


def test_a_callback_that_this_browser_did_not_begin_is_refused(house: House, browser: httpx.Client) -> None:
    begun = agree(browser)
    with httpx.Client(base_url=house.url, timeout=60) as other:  # whom somebody wants to sign in as themselves
        assert "not begun in this browser" in other.get(begun).text
        assert other.get("/v1/me").status_code == 401


@pytest.mark.parametrize(
    "change", [{"state": "x"}, {"code": "x"}, {"code": ""}, {"iss": "https://evil.example"}, {"error": "access_denied"}]
)
def test_a_callback_that_was_changed_is_refused(house: House, browser: httpx.Client, change: dict[str, str]) -> None:
    parts = urlsplit(agree(browser))
    query = {k: v[0] for k, v in parse_qs(parts.query).items()} | change
    assert browser.get(f"{parts.path}?{urlencode(query)}").status_code == 422
    assert browser.get("/v1/me").status_code == 401


def test_a_code_is_good_once(house: House, browser: httpx.Client) -> None:
    back = agree(browser)
    assert browser.get(back).status_code == 303
    assert browser.get(back).status_code == 422


def test_a_provider_may_change_its_key(house: House, provider: Provider, browser: httpx.Client) -> None:
    browser.get(agree(browser))
    provider.key, provider.kid = rsa.generate_private_key(65537, 2048), "second"
    assert browser.get(agree(browser)).headers["location"] == "/"


@pytest.mark.parametrize("next", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_the_way_back_leads_nowhere_else(house: House, browser: httpx.Client, next: str) -> None:
    assert browser.get(agree(browser, next)).headers["location"] == "/"


def test_a_provider_that_calls_itself_otherwise_is_not_believed(
    house: House, provider: Provider, browser: httpx.Client
) -> None:
    provider.document = {"issuer": "https://evil.example"}
    assert "calls itself" in browser.get("/login/oidc").text


def test_a_provider_that_does_not_answer_is_told_as_such(
    house: House, provider: Provider, browser: httpx.Client
) -> None:
    provider.close()
    answer = browser.get("/login/oidc")
    assert (answer.status_code, "does not answer" in answer.text) == (503, True)


def test_the_provider_of_one_own_machine_aside_an_issuer_is_https() -> None:
    with pytest.raises(ValueError, match="must begin with https"):
        Oidc(issuer="http://idp.example", client_id="x", roles={})


def test_a_role_that_the_provider_keeps_is_not_changed_here(house: House, browser: httpx.Client) -> None:
    browser.get(agree(browser))
    with house.client() as owner:
        answer = owner.patch("/v1/accounts/grace", json={"role": "admin"})
        assert answer.json()["error"]["code"] == "role-elsewhere"
        answer = owner.put("/v1/accounts/grace/password", json={"new": "correct horse battery staple"})
        assert answer.json()["error"]["code"] == "no-password"
