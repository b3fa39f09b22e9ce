"""The ledger's tests run on SQLite and on a real PostgreSQL, which is started here."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from federation.clock import VirtualClock
from federation.ledger.appender import Appender
from federation.ledger.store import Store

from .kit import Writer
from .postgres import Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres.running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a ledger that does not exist yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_url()


@pytest.fixture
def open_store(url: str) -> Iterator[Callable[..., Store]]:
    """Opens the ledger of this test, as often as wanted; all are closed at the end."""
    opened: list[Store] = []

    def open_one(**options: bool) -> Store:
        opened.append(Store.open(url, **options))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., Store]) -> Store:
    return open_store()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def appender(store: Store, clock: VirtualClock) -> Appender:
    appender = Appender(store, clock, "appender on node-1")
    appender.open()
    return appender


@pytest.fixture
def writer(appender: Appender) -> Writer:
    return Writer(appender)
