"""Every route with every role: the table is made from the router, so that a new route is in it."""

import re
from collections.abc import Iterator
from types import SimpleNamespace

import httpx
import pytest
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from federation.errors import Bug
from managers.uim.access import Needs, NeedsRoute, Role, Scope, needed
from managers.uim.api import app
from managers.uim.api.guard import is_open

from ..conftest import House

# What a role may do, as docs/access.md promises it.
PROMISED = {
    Role.VIEWER: {"read"},
    Role.AUTHOR: {"read", "bundles"},
    Role.OPERATOR: {"read", "events", "cases", "control"},
    Role.ADMIN: {"read", "events", "cases", "control", "bundles", "accounts"},
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("matrix"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def table() -> list[tuple[str, str, Needs | None]]:
    """Method, path and what it needs, of every route."""
    return [(m, r.path, needed(r)) for r in app.every() for m in sorted(r.methods - {"HEAD"})]


@pytest.fixture(scope="module")
def tokens(house: House) -> dict[Role, str]:
    entrance = house.context.access
    made = {}
    for role in Role:
        entrance.accounts.add(f"a.{role}", role, "correct horse battery staple")
        made[role], _ = entrance.tokens.make(f"a.{role}", "", role.scopes, 1)
    return made


def ask(house: House, method: str, path: str, token: str = "") -> tuple[int, str]:
    """The status, and the code of the error if there is one, without waiting for a stream to end."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    filled = re.sub(r"\{\w+\}", "1", path)
    with (
        httpx.Client(base_url=house.url, headers=headers, timeout=60) as client,
        client.stream(method, filled) as answer,
    ):
        if answer.status_code < 400 or "json" not in answer.headers.get("content-type", ""):
            return answer.status_code, ""
        answer.read()
        return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_do_what_the_page_promises(role: Role) -> None:
    assert {str(scope) for scope in role.scopes} == PROMISED[role]


@pytest.mark.parametrize("role", list(Role))
def test_every_route_lets_in_who_has_its_scope_and_nobody_else(
    house: House, table: list[tuple[str, str, Needs | None]], tokens: dict[Role, str], role: Role
) -> None:
    wrong = []
    for method, path, needs in table:
        allowed = needs is None or needs.scope is None or needs.scope in role.scopes
        status, code = ask(house, method, path, tokens[role])
        if status == 401 or ((status, code) == (403, "forbidden")) is allowed:
            wrong.append((method, path, status, code))
    assert wrong == []


def test_without_a_token_nothing_but_the_way_in_is_answered(
    house: House, table: list[tuple[str, str, Needs | None]]
) -> None:
    open_ = [path for method, path, _ in table if ask(house, method, path)[1] != "token"]
    assert all(map(is_open, open_))
    assert set(open_) == {"/v1/login", "/healthz", "/login", "/login/oidc", "/login/oidc/done", "/static/{name}"}


def test_a_page_that_a_role_may_not_see_is_refused_as_a_page(house: House, tokens: dict[Role, str]) -> None:
    headers = {"authorization": f"Bearer {tokens[Role.VIEWER]}", "accept": "text/html"}
    answer = httpx.get(f"{house.url}/accounts", headers=headers)
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")
    assert "lacks the scope" in answer.text


async def _nothing(_: Request) -> Response:
    return Response()


def test_a_route_that_does_not_say_who_may_use_it_is_a_bug(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    forgetful = APIRouter()
    forgetful.add_api_route("/v1/secret", _nothing)
    monkeypatch.setattr(app, "API", (*app.API, SimpleNamespace(router=forgetful)))
    with pytest.raises(Bug, match="/v1/secret does not say who may use it"):
        app.create(house.context)


def test_a_route_below_fastapi_says_what_it_needs_too() -> None:
    assert needed(NeedsRoute("/x", _nothing, Needs(Scope.EVENTS), "POST")) is not None
