"""One machine is the head at a time, by a lease in a real PostgreSQL; whose term is over gets no epoch."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from federation.clock import SystemClock
from federation.errors import Fenced, Temporary
from federation.ledger.appender import Appender
from federation.ledger.engines import SILENT_SECONDS, postgres_engine
from federation.ledger.headship import Headship
from federation.ledger.store import Store
from tests.federation.ledger.postgres import Postgres

LONG, SHORT = 600.0, 0.2  # seconds


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres.running() as server:
        yield server


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_url()


class Machine(Protocol):
    """A machine on the ledger at this URL, whose state folder has this name."""

    def __call__(self, url: str, name: str, ttl: float = LONG) -> Headship: ...


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with ExitStack() as closing:

        def opened(url: str, name: str, ttl: float = LONG) -> Headship:
            made = Headship.open(url, tmp_path / name, ttl)
            assert made is not None
            closing.callback(made.close)
            return made

        yield opened


def test_a_ledger_of_one_machine_has_no_headship(tmp_path: Path) -> None:
    assert Headship.open(f"sqlite:///{tmp_path}/ledger.db", tmp_path, LONG) is None


def test_one_machine_is_the_head_until_it_gives_it_back(url: str, machine: Machine) -> None:
    one, other = machine(url, "one"), machine(url, "other")
    assert one.take("one", "10.0.0.1:6380") == 1
    assert other.take("other", "10.0.0.2:6380") is None
    assert tuple(other.incumbent()) == (1, "one", "10.0.0.1:6380", True)
    one.release(1)
    assert other.take("other", "10.0.0.2:6380") == 2
    assert (one.renew(1), other.renew(2)) == (False, True)


def test_a_machine_that_starts_again_goes_on_with_its_term(url: str, machine: Machine) -> None:
    assert machine(url, "one").take("one", "10.0.0.1:6380") == 1
    assert machine(url, "one").take("renamed", "10.0.0.9:6380") == 1
    assert machine(url, "two").incumbent().address == "10.0.0.9:6380"


def test_a_head_that_does_not_renew_loses_it_and_cannot_take_it_back(url: str, machine: Machine) -> None:
    one, other = machine(url, "one", SHORT), machine(url, "other")
    assert one.take("one", "10.0.0.1:6380") == 1
    deadline = time.monotonic() + 60
    while (term := other.take("other", "10.0.0.2:6380")) is None:
        assert time.monotonic() < deadline
    assert (term, one.renew(1), one.take("one", "10.0.0.1:6380")) == (2, False, None)
    one.release(1)
    assert other.incumbent().held


def test_of_many_that_want_it_at_once_one_gets_it(url: str, machine: Machine) -> None:
    def take(number: int) -> int | None:
        return machine(url, f"m{number}").take(f"m{number}", f"10.0.0.{number}:6380")

    with ThreadPoolExecutor(8) as pool:
        terms = list(pool.map(take, range(8)))
    assert sorted(term for term in terms if term is not None) == [1]


def test_the_appender_of_a_term_that_is_over_gets_no_epoch(url: str, machine: Machine) -> None:
    one, other = machine(url, "one", 0.0), machine(url, "other")
    store = Store.open(url)
    assert one.take("one", "10.0.0.1:6380") == 1
    first = Appender(store, SystemClock(), "one", term=1)
    assert first.open(force=True) == 1
    assert other.take("other", "10.0.0.2:6380") == 2
    first.tick()  # still the only one
    assert Appender(store, SystemClock(), "other", term=2).open(force=True) == 2
    with pytest.raises(Fenced):
        first.tick()
    with pytest.raises(Fenced, match="term 1 is over, another machine is the head"):
        Appender(store, SystemClock(), "one again", term=1).open(force=True)
    assert store.lease().epoch == 2
    store.close()


def test_a_database_that_is_away_is_temporary_and_the_term_goes_on(machine: Machine) -> None:
    with Postgres.running() as server:
        one = machine(server.new_url(), "one")
        assert one.take("one", "10.0.0.1:6380") == 1
        server.stop()
        with pytest.raises(Temporary):
            one.renew(1)
        server.start()
        assert one.renew(1)


def test_the_database_asks_whether_a_silent_machine_is_still_there(url: str) -> None:
    """Of one that was cut off the sessions would stay for two hours, a dozen for each time."""
    engine = postgres_engine(make_url(url))
    try:
        with engine.connect() as connection:
            names = (f"tcp_keepalives_{name}" for name in ("idle", "interval", "count"))
            said = tuple(int(connection.execute(text(f"SHOW {name}")).scalar_one()) for name in names)
        assert said == SILENT_SECONDS
    finally:
        engine.dispose()
