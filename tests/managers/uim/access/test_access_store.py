"""What is kept of accounts, sessions, tokens and links, in SQLite and in PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from federation.clock import VirtualClock
from federation.errors import Refused
from federation.settings import LedgerSettings, Settings
from managers.uim.access import Role, Scope
from managers.uim.access.accounts import Accounts
from managers.uim.access.apitokens import Tokens
from managers.uim.access.database import Database
from managers.uim.access.links import Links
from managers.uim.access.sessions import MOST, Sessions
from tests.federation.ledger.postgres import Postgres

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres.running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres").new_url()
    settings = Settings(state=tmp_path, ledger=LedgerSettings(url=url))
    made = Database.open(settings)
    yield made
    made.close()
    Database.open(settings).close()  # what is there already is left as it is


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def accounts(db: Database, clock: VirtualClock) -> Accounts:
    return Accounts(db, clock)


def test_an_account_is_found_changed_and_given_once(accounts: Accounts) -> None:
    accounts.add("ada", Role.VIEWER, PASSWORD)
    with pytest.raises(Refused, match="already"):
        accounts.add("ada", Role.ADMIN, PASSWORD)
    assert accounts.change("ada", role=Role.AUTHOR).role is Role.AUTHOR
    assert accounts.change("ada", disabled=True).disabled
    assert accounts.proved("ada", PASSWORD) is None
    accounts.change("ada", disabled=False)
    assert accounts.proved("ada", PASSWORD) == accounts.get("ada")
    with pytest.raises(Refused, match="no account `bob`"):
        accounts.change("bob", disabled=True)


def test_whom_a_provider_vouches_for_keeps_their_account_and_takes_no_others(accounts: Accounts) -> None:
    made = accounts.provision("https://id 7", "grace", Role.VIEWER)
    assert accounts.provision("https://id 7", "grace.h", Role.ADMIN)._replace(role=Role.VIEWER) == made
    with pytest.raises(Refused, match="already"):
        accounts.provision("https://id 8", "grace", Role.ADMIN)
    assert accounts.proved("grace", "") is None


def test_sessions_of_an_account_are_counted_and_ended(db: Database, accounts: Accounts, clock: VirtualClock) -> None:
    accounts.add("ada", Role.VIEWER, PASSWORD)
    sessions = Sessions(db, clock, idle=60, most=3600)
    first = sessions.begin("ada", "here", "a browser")
    for _ in range(MOST):
        clock.advance(1)
        last = sessions.begin("ada", "here", "a browser")
    assert sessions.find(first) is None
    found = sessions.find(last)
    assert found is not None
    assert found[1] is Role.VIEWER
    assert sessions.end("ada", but=found[0].id) == MOST - 1
    assert [one.id for one in sessions.of("ada")] == [found[0].id]
    clock.advance(60)
    assert sessions.find(last) is None


def test_a_session_that_is_asked_at_once_from_many_sides_is_found_by_all(db: Database, clock: VirtualClock) -> None:
    sessions = Sessions(db, clock, idle=3600, most=7200)
    session = sessions.begin("", "here", "a browser")
    clock.advance(61)  # from now on the first who asks notes the time
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: sessions.find(session), range(40)))
    assert None not in found


def test_a_link_is_taken_by_one_of_many(db: Database, clock: VirtualClock) -> None:
    links = Links(db, clock)
    secret, _ = links.make()
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(lambda _: links.take(secret), range(16))) == [False] * 15 + [True]


def test_a_token_speaks_for_its_account_as_far_as_that_may_go(
    db: Database, accounts: Accounts, clock: VirtualClock
) -> None:
    accounts.add("ada", Role.OPERATOR, PASSWORD)
    tokens = Tokens(db, clock, "owner")
    secret, token = tokens.make("ada", "x", frozenset({Scope.READ, Scope.CASES}), 1)
    person = tokens.person(secret)
    assert person is not None
    assert (person.name, person.scopes) == ("ada", {Scope.READ, Scope.CASES})
    accounts.change("ada", role=Role.VIEWER)
    person = tokens.person(secret)
    assert person is not None
    assert person.scopes == {Scope.READ}
    assert [one.id for one in tokens.of("ada")] == [token.id]
    tokens.revoke(token.id, "ada")
    assert tokens.person(secret) is None
