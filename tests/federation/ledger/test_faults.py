"""What a user meets when the disk, the database or the address is not as it should be."""

import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pg8000.dbapi
import pytest

from federation.clock import VirtualClock
from federation.errors import Bug, Corrupt, EliasError, Refused, Temporary
from federation.ledger import engines, tables
from federation.ledger.appender import Appender, Receipt
from federation.ledger.faults import Duplicate, mapped
from federation.ledger.store import Store
from federation.ledger.verify import verify

from .kit import Writer, decided, entry
from .postgres import Postgres

on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("url", ["postgresql"], indirect=True)


def goes_on_after(
    writer: Writer, store: Store, trouble: Callable[[], None], cure: Callable[[], None], says: str
) -> None:
    """A batch during the trouble is not acknowledged and leaves nothing; sent again after the cure it is there once."""
    writer.write(*decided("before"))
    head = store.head()
    batches = [writer.batch(*decided(f"during{n}"), entry("event", body=bytes(100_000))) for n in range(3)]
    trouble()
    results = writer.appender.commit(batches)
    assert [type(result) for result in results] == [Temporary] * 3
    assert says in str(results[0])
    cure()
    assert store.head() == head
    while isinstance((results := writer.appender.commit(batches))[0], Temporary):
        pass
    assert [type(result) for result in results] == [Receipt] * 3
    assert len(store.decision("during2")) == 2
    writer.write(*decided("after"))
    assert verify(store)


@on_sqlite
def test_a_file_that_may_not_grow_is_temporary_and_loses_nothing(store: Store, writer: Writer) -> None:
    def limit(pages: int) -> None:
        with store.engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    goes_on_after(writer, store, lambda: limit(1), lambda: limit(2**30), "the disk is full; free some space")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("only root may mount a small disk")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_disk_that_is_full_is_temporary_and_loses_nothing(small_disk: Path, clock: VirtualClock) -> None:
    store = Store.open(f"{small_disk}/ledger.db")
    appender = Appender(store, clock, "appender")
    appender.open()
    filler = small_disk / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        assert os.statvfs(small_disk).f_bavail == 0

    goes_on_after(Writer(appender), store, fill, filler.unlink, "disk")
    store.close()


@on_sqlite
def test_a_locked_database_is_temporary(
    url: str, tmp_path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.1)
    store = Store.open(url)
    appender = Appender(store, clock, "appender")
    appender.open()
    writer = Writer(appender)
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    goes_on_after(
        writer,
        store,
        lambda: other.execute("BEGIN IMMEDIATE") and None,
        lambda: other.execute("ROLLBACK") and None,
        "the database is locked by another process; find who holds it with `fuser`",
    )
    other.close()
    store.close()


@on_postgres
def test_a_locked_lease_row_is_temporary(url: str, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.1)
    store = Store.open(url)
    appender = Appender(store, clock, "appender")
    appender.open()
    writer = Writer(appender)
    with store.engine.connect() as other:
        goes_on_after(
            writer,
            store,
            lambda: other.execute(tables.lease.update().values(holder="other")) and None,
            other.rollback,
            "the database is locked by another process; see pg_stat_activity",
        )
    store.close()


@on_postgres
def test_a_connection_that_the_server_ends_is_temporary(writer: Writer, store: Store, postgres: Postgres) -> None:
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'ledger%'"
    goes_on_after(writer, store, lambda: postgres.execute(end), lambda: None, "")


@on_postgres
def test_a_server_that_is_down_is_temporary(writer: Writer, store: Store, postgres: Postgres) -> None:
    goes_on_after(writer, store, postgres.stop, postgres.start, "")


@on_postgres
def test_a_server_that_is_not_there_is_temporary_and_says_what_to_see(url: str) -> None:
    with pytest.raises(Temporary, match="see that it runs and that its address is right"):
        Store.open("postgresql://elias@127.0.0.1:1/ledger")


def filled(path: Path) -> Path:
    store = Store.open(str(path))
    appender = Appender(store, VirtualClock(), "appender")
    appender.open()
    writer = Writer(appender)
    for n in range(40):
        writer.write(*decided(f"d{n}"), entry("event", body=bytes(5000)))
    store.close()
    return path


def garbage(path: Path) -> None:
    path.write_bytes(b"this is no database at all " * 1000)


def truncated(path: Path) -> None:
    os.truncate(filled(path), 40_000)


def overwritten(path: Path) -> None:
    with filled(path).open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(60_000))


def emptied(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize("damage", [garbage, truncated, overwritten, emptied])
def test_a_damaged_file_is_corrupt_and_is_left_as_it_is(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "ledger.db"
    damage(path)
    before = path.read_bytes()
    with pytest.raises(Corrupt, match=r"ledger\.db: .*restore it from a copy"):
        use(str(path))
    assert path.read_bytes() == before


def use(url: str) -> None:
    store = Store.open(url)
    try:
        list(store.read())
        Appender(store, VirtualClock(), "appender").open()
    finally:
        store.close()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("{folder}", "unable to open"),
        ("{folder}/missing/ledger.db", "see that the folder exists"),
        ("{folder}/file/ledger.db", "Not a directory"),
        ("sqlite://", "a ledger in memory would not outlive its process"),
        ("sqlite:///:memory:", "a ledger in memory would not outlive its process"),
        ("mysql://localhost/ledger", "the ledger cannot be kept in mysql"),
        ("://", "this is no database URL"),
    ],
)
def test_an_address_that_cannot_be_right_is_refused_with_a_cure(tmp_path: Path, url: str, why: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match=why) as refused:
        Store.open(url.format(folder=tmp_path))
    assert refused.value.cure


def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE songs (title)")
    other.close()
    with pytest.raises(Refused, match="this database holds no ledger"):
        Store.open(str(path))


def test_a_reader_makes_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="there is no ledger here"):
        Store.open(str(tmp_path / "ledger.db"), read_only=True)
    assert list(tmp_path.iterdir()) == []


@on_postgres
def test_a_database_that_is_not_there_or_not_ours_is_refused(url: str) -> None:
    server, _, _ = url.rpartition("/")
    with pytest.raises(Refused, match="does not exist"):
        Store.open(f"{server}/missing")
    with pytest.raises(Refused, match="this database holds no ledger"):
        Store.open(url, read_only=True)


def test_a_password_is_not_shown() -> None:
    with pytest.raises(Temporary) as error:
        Store.open("postgresql://elias:secret@127.0.0.1:1/ledger")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("08006", Temporary),
        ("25P03", Temporary),
        ("40P01", Temporary),
        ("53100", Temporary),
        ("53300", Temporary),
        ("57P01", Temporary),
        ("58030", Temporary),
        ("XX001", Corrupt),
        ("XX002", Corrupt),
        ("23505", Duplicate),
        ("28P01", Refused),
        ("42501", Refused),
        ("42601", Bug),
        ("XX000", Bug),
    ],
)
def test_what_postgresql_reports_has_one_meaning(code: str, error: type[EliasError]) -> None:
    with pytest.raises(error, match="as the server said") as raised, mapped("the ledger"):
        raise pg8000.dbapi.DatabaseError({"C": code, "M": "as the server said"})
    assert "the ledger" in str(raised.value)


def test_two_that_make_a_ledger_at_once_make_one(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: Store.open(url), range(4)))
    stores[0].acquire("one", 0, 1)
    assert [store.lease().epoch for store in stores] == [1] * 4
    for store in stores:
        store.close()
