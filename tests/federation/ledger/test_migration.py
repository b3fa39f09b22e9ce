"""A ledger of the first version: read as it is, brought along when it is opened to write."""

from collections.abc import Callable

import pytest
import sqlalchemy

from federation.clock import VirtualClock
from federation.errors import Bug
from federation.ledger import tables
from federation.ledger.appender import Appender
from federation.ledger.store import Store
from federation.ledger.verify import verify

from .kit import Writer, decided, entry

ONCE = "CASE WHEN kind IN ('asked', 'answered') THEN attempt END"


@pytest.fixture
def old(store: Store, writer: Writer, request: pytest.FixtureRequest) -> sqlalchemy.Engine:
    """It had three indexes in the database, also on SQLite, and nothing beside it."""
    writer.write(*decided("d1"), entry("outcome", "d1"))
    with store.engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX records_kind_point")
        connection.exec_driver_sql("CREATE INDEX records_kind ON records (kind, seq)")
        connection.exec_driver_sql("CREATE INDEX records_point ON records (point, seq)")
        if connection.dialect.name == "sqlite":
            columns = f"decision, kind, ({ONCE})"
            connection.exec_driver_sql(
                f"CREATE UNIQUE INDEX records_decision ON records ({columns}) WHERE decision <> ''"
            )
        connection.execute(tables.schema.update().values(version=1))
    if store.engine.dialect.name == "sqlite":
        (request.getfixturevalue("tmp_path") / "ledger.db-index").unlink()
    return store.engine


def version(engine: sqlalchemy.Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sqlalchemy.select(tables.schema.c.version)).scalar_one())


def reads(store: Store) -> bool:
    return (
        [record.header.kind for record in store.decision("d1")] == ["asked", "answered", "outcome"]
        and store.known(["d1", "d2"]).keys() == {"d1"}
        and [record.header.kind for record in store.latest(2, points=["ufm.placement"])] == ["outcome", "answered"]
        and len(list(store.read(kinds=["asked", "outcome"]))) == 2
    )


def test_it_is_read_as_it_is(old: sqlalchemy.Engine, open_store: Callable[..., Store]) -> None:
    assert reads(open_store(read_only=True))
    assert version(old) == 1


def test_it_is_brought_along_once_and_goes_on(old: sqlalchemy.Engine, open_store: Callable[..., Store]) -> None:
    reader = open_store(read_only=True)
    stores = [open_store() for _ in range(2)]
    assert version(old) == tables.VERSION
    expected = (
        {"records_kind_point", "records_decision"} if old.dialect.name == "postgresql" else {"records_kind_point"}
    )
    assert {index["name"] for index in sqlalchemy.inspect(old).get_indexes("records")} == expected
    appender = Appender(stores[1], VirtualClock(), "successor")
    appender.open(force=True)
    writer = Writer(appender)
    (refused,) = appender.commit([writer.batch(*decided("d1"))])
    assert isinstance(refused, Bug)
    writer.number = 0
    writer.write(*decided("d2"))
    assert reader.known(["d1", "d2"]).keys() == {"d1", "d2"}
    assert verify(reader)
