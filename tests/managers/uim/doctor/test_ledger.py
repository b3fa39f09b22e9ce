"""The ledger as it is found: on SQLite and on PostgreSQL, whole, locked, damaged, newer, or held by others."""

import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from federation.clock import SECOND, SystemClock
from federation.errors import Corrupt, EliasError, Refused, Temporary
from federation.ledger import tables
from federation.ledger.store import Lease, Store
from federation.settings import LedgerSettings, Settings
from managers.uim.doctor import ledger
from managers.uim.doctor.finding import Finding
from managers.uim.doctor.here import Here
from managers.uim.doctor.ledger import Seen
from tests.federation.ledger.postgres import Postgres
from tests.managers.uim.doctor.ledgers import left

NOW = 1_700_000_000 * SECOND
HELD = Lease(3, "pid 7", NOW + 8 * SECOND)
SOUND = Seen("db", tables.VERSION, 9, NOW - 4 * SECOND, HELD, "ours")
DOWN = SOUND._replace(holder="nobody", time=NOW - 10**6 * SECOND)


@pytest.mark.parametrize(
    ("seen", "runs", "codes"),
    [
        (SOUND, True, ["ledger.sound"]),
        (DOWN, False, ["ledger.sound"]),
        (SOUND._replace(size=0, time=0, holder="nobody"), False, ["ledger.sound"]),
        (SOUND._replace(read_only="it is a standby"), True, ["ledger.read_only"]),
        (DOWN._replace(version=1), False, ["ledger.older", "ledger.sound"]),
        (SOUND._replace(time=NOW - 32 * SECOND), True, ["ledger.stale"]),
        (SOUND._replace(time=NOW - 30 * SECOND), True, ["ledger.sound"]),
        (SOUND._replace(time=NOW + 60 * SECOND), True, ["ledger.future", "ledger.sound"]),
        (SOUND._replace(holder="nobody"), True, ["ledger.no_holder"]),
        (SOUND._replace(holder="alive"), True, ["ledger.other_holder", "ledger.sound"]),
        (SOUND._replace(holder="elsewhere"), True, ["ledger.other_holder", "ledger.sound"]),
        (DOWN._replace(holder="elsewhere"), False, ["ledger.led_elsewhere", "ledger.sound"]),
        (DOWN._replace(holder="alive"), False, ["ledger.other_holder", "ledger.sound"]),
        (DOWN._replace(holder="gone"), False, ["ledger.left_lease", "ledger.sound"]),
    ],
)
def test_what_is_seen_of_a_ledger(seen: Seen, runs: bool, codes: list[str]) -> None:
    assert [one.code for one in ledger.judge(seen, NOW, runs=runs, tick=10.0)] == codes


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("ledger.newer", "newer"), "ledger.newer"),
        (Refused("ledger.open", "no such role"), "ledger.refused"),
        (Corrupt("db: malformed"), "ledger.damaged"),
        (Temporary("db: the database is locked by another process"), "ledger.locked"),
        (Temporary("db: the database does not answer"), "ledger.unreachable"),
    ],
)
def test_what_it_means_that_a_ledger_cannot_be_read(error: EliasError, code: str) -> None:
    found = ledger.problem(error, "db")
    assert (found.code, found.place, found.seen.startswith("db:")) == (code, "db", False)


def found_in(folder: Path, url: str = "") -> list[Finding]:
    here = Here(Settings(state=folder, ledger=LedgerSettings(url=url)), None, False, None, "head")
    return list(ledger.check(here))


def codes(found: list[Finding]) -> list[str]:
    return [one.code for one in found]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A ledger of SQLite with a few records, as an appender left it."""
    path = tmp_path / "ledger.db"
    left(f"sqlite:///{path}")
    return path


def test_a_sound_ledger_and_none(made: Path, tmp_path: Path) -> None:
    assert codes(found_in(tmp_path)) == ["ledger.sound"]
    assert codes(found_in(tmp_path / "elsewhere")) == ["ledger.none"]
    assert not (tmp_path / "elsewhere").exists()


def test_a_ledger_that_another_program_has_locked(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_LOCKED", 0.1)
    with closing(sqlite3.connect(made, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert codes(found_in(tmp_path)) == ["ledger.locked"]


@pytest.mark.parametrize("at", [0, 4096])
def test_a_ledger_that_is_damaged(made: Path, tmp_path: Path, at: int) -> None:
    with made.open("r+b") as file:
        file.seek(at)
        file.write(b"\x5a" * (made.stat().st_size - at))
    assert codes(found_in(tmp_path)) == ["ledger.damaged"]


def test_a_ledger_that_is_empty_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    assert codes(found_in(tmp_path)) == ["ledger.damaged"]


@pytest.mark.parametrize(("more", "expected"), [(1, ["ledger.newer"]), (-1, ["ledger.older", "ledger.sound"])])
def test_a_ledger_of_another_schema_is_told_and_left_as_it_is(
    made: Path, tmp_path: Path, more: int, expected: list[str]
) -> None:
    with closing(sqlite3.connect(made)) as connection, connection:
        connection.execute("UPDATE ledger_schema SET version = ?", (tables.VERSION + more,))
    assert codes(found_in(tmp_path)) == expected
    with closing(sqlite3.connect(made)) as connection:
        assert connection.execute("SELECT version FROM ledger_schema").fetchall() == [(tables.VERSION + more,)]


@pytest.mark.parametrize(
    ("holder", "code"),
    [
        (f"pid {os.getpid()}", "ledger.other_holder"),
        (f"pid {os.getpid()} on {socket.gethostname()}", "ledger.other_holder"),
        ("pid 4194304", "ledger.left_lease"),
        ("somebody", "ledger.led_elsewhere"),
    ],
    ids=["of before", "here", "gone", "elsewhere"],
)
def test_an_appender_that_is_none_of_this_state_folder(made: Path, tmp_path: Path, holder: str, code: str) -> None:
    store = Store.open(f"sqlite:///{made}")
    store.acquire(holder, SystemClock().now(), 60 * SECOND)
    store.close()
    assert codes(found_in(tmp_path)) == [code, "ledger.sound"]


def test_a_database_that_does_not_answer_and_its_password_is_not_told(tmp_path: Path) -> None:
    (found,) = found_in(tmp_path, "postgresql://ada:planted@127.0.0.1:1/elias")
    assert (found.code, "planted" in str(found)) == ("ledger.unreachable", False)


@pytest.mark.parametrize(
    "url", ["postgresql:/ada:planted@x", "mysql://ada:planted@127.0.0.1:1/x", "sqlite://", "sqlite:///:memory:"]
)
def test_an_address_that_cannot_be_right(tmp_path: Path, url: str) -> None:
    (found,) = found_in(tmp_path, url)
    assert (found.code, "planted" in str(found)) == ("ledger.refused", False)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres.running() as server:
        yield server


def test_a_ledger_in_postgresql(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.new_url()
    assert codes(found_in(tmp_path, url)) == ["ledger.none"]
    left(url)
    assert codes(found_in(tmp_path, url)) == ["ledger.sound"]
    postgres.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_read_only = on")
    assert codes(found_in(tmp_path, url)) == ["ledger.read_only"]
    (found,) = found_in(tmp_path, f"{url}_that_is_not_there")
    assert found.code == "ledger.refused"


def test_a_user_of_postgresql_who_may_only_read(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.new_url()
    left(url)
    postgres.execute("CREATE ROLE reader LOGIN")
    store = Store.open(url)
    with store.engine.begin() as connection:
        connection.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"))
    store.close()
    (found,) = found_in(tmp_path, url.replace("elias@", "reader@"))
    assert (found.code, "may not insert" in found.seen) == ("ledger.read_only", True)
