"""`elias ledger backup` and `restore`: the ledger and the state folder, there and back."""

import os
import sqlite3
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from federation.clock import VirtualClock
from federation.ledger.backup import archive
from federation.ledger.backup.taking import take
from federation.ledger.store import Store
from federation.settings import LedgerSettings, Settings
from managers.uim import launch
from managers.uim.access.accounts import Accounts
from managers.uim.access.apitokens import Tokens
from managers.uim.access.database import Database
from managers.uim.access.person import Role, Scope
from managers.uim.access.sessions import Sessions
from managers.uim.cli.ledger import state
from tests.federation.ledger.postgres import Postgres

from .conftest import House
from .test_cli import HOT, Elias, _file, demo_roster, elias

__all__ = ["demo_roster", "elias"]

PASSWORD = "correct horse battery staple"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    folder = tmp_path / "state"
    folder.mkdir()
    made = House(folder)
    yield made
    made.close()


def put(folder: Path, name: str, content: bytes = b"something", mode: int = 0o600) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def members(path: Path) -> set[str]:
    with tarfile.open(path) as tar:
        return {name.removeprefix(archive.STATE) for name in tar.getnames() if name.startswith(archive.STATE)}


@pytest.mark.usefixtures("demo_roster")
def test_everything_comes_back_where_nothing_was_left(elias: Elias, house: House, tmp_path: Path) -> None:
    folder, policy = house.settings.state, f"policies/{'ab' * 32}/model.safetensors"
    accounts = house.context.access.accounts
    accounts.add("ada", Role.ADMIN, PASSWORD)
    elias("decide", _file(tmp_path, HOT))
    put(folder, policy, os.urandom(3_000_000), 0o644)
    put(folder, "bundle.next")
    put(folder, "logs/uim.log")
    put(folder, "nodes/n1/apps/web/out.log")
    effects = sqlite3.connect(folder / "effects.db", isolation_level=None)
    effects.execute("PRAGMA journal_mode=WAL")
    effects.execute("CREATE TABLE effects (id)")
    effects.execute("INSERT INTO effects VALUES ('in the write-ahead log')")
    found = elias.json("ledger", "backup", str(tmp_path / "one.backup"))
    assert (elias.code, stat.S_IMODE((tmp_path / "one.backup").stat().st_mode)) == (0, 0o600)
    assert members(tmp_path / "one.backup") == {"token", policy, "bundle.next", "effects.db"}
    effects.close()
    house.close()

    lost = folder.rename(tmp_path / "lost")
    restored = elias.json("ledger", "restore", str(tmp_path / "one.backup"))
    assert (restored["size"], restored["root"], restored["aside"]) == (found["size"], found["root"], "")
    assert (restored["accounts"], restored["there"]) == (1, [])
    for name in ("token", policy, "bundle.next"):
        assert (folder / name).read_bytes() == (lost / name).read_bytes()
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    with sqlite3.connect(folder / "effects.db") as effects:
        assert effects.execute("SELECT * FROM effects").fetchall() == [("in the write-ahead log",)]
    effects.close()
    verified = elias.json("ledger", "verify", "--witness", f"{found['size']}:{found['root']}")
    assert (elias.code, verified["size"]) == (0, found["size"])
    replayed = elias.json("ledger", "replay")
    assert (replayed["decisions"], replayed["identical"]) == (1, True)
    db = Database.open(house.settings)
    assert [account.name for account in Accounts(db, house.clock).all()] == ["ada"]
    db.close()


def test_what_is_there_stays(elias: Elias, house: House, tmp_path: Path) -> None:
    folder = house.settings.state
    put(folder, "bundle.next", b"older")
    elias("ledger", "backup", str(tmp_path / "one.backup"))
    put(folder, "bundle.next", b"newer")
    house.context.access.accounts.add("eve", Role.VIEWER, PASSWORD)
    house.close()
    elias("ledger", "restore", str(tmp_path / "one.backup"))
    assert elias.code == 1
    assert "there is a ledger of" in elias.err
    assert "--aside" in elias.err
    found = elias.json("ledger", "restore", str(tmp_path / "one.backup"), "--aside")
    assert (elias.code, sorted(found["there"]), found["accounts"]) == (0, ["bundle.next", "token"], 0)
    assert Path(found["aside"]).exists()
    assert (folder / "bundle.next").read_bytes() == b"newer"


def test_a_refused_back_up_changes_nothing_in_the_state_folder(elias: Elias, house: House, tmp_path: Path) -> None:
    elias("ledger", "backup", str(tmp_path / "one.backup"))
    house.close()
    folder = house.settings.state.rename(tmp_path / "lost").with_name("state")
    with tarfile.open(tmp_path / "one.backup") as tar:
        place = tar.getmember("state/token").offset_data
    with (tmp_path / "one.backup").open("rb+") as file:
        file.seek(place)
        file.write(b"!!")
    folder.mkdir()
    elias("ledger", "restore", str(tmp_path / "one.backup"))
    assert elias.code == 1
    assert "damaged in its part state/token" in elias.err
    assert "take another back-up" in elias.err
    assert list(folder.iterdir()) == []
    elias("ledger", "verify", str(tmp_path / "one.backup"))
    assert elias.code == 1


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "nodes/../../escaped", "elias.pid", "ledger.db-wal"])
def test_a_file_that_no_back_up_holds_is_not_written(elias: Elias, house: House, tmp_path: Path, name: str) -> None:
    elias("ledger", "backup", str(tmp_path / "one.backup"))
    house.close()
    house.settings.state.rename(tmp_path / "lost")
    with tarfile.open(tmp_path / "one.backup") as tar, archive.writing(tmp_path / "made.backup") as made:
        for member in tar.getmembers()[:-1]:
            content = tar.extractfile(member)
            assert content is not None
            made.add(member.name, content.read())
        made.add(f"state/{name}", b"mine")
    elias("ledger", "restore", str(tmp_path / "made.backup"))
    assert elias.code == 1
    assert "no back-up holds such a file" in elias.err
    assert not (house.settings.state / "ledger.db").exists()
    assert list(tmp_path.rglob("escaped")) == []


def test_while_elias_runs_nothing_is_restored(elias: Elias, house: House, tmp_path: Path) -> None:
    elias("ledger", "backup", str(tmp_path / "one.backup"))
    with launch.keeping(house.settings):
        elias("ledger", "restore", str(tmp_path / "one.backup"), "--aside")
    assert elias.code == 1
    assert f"ELIAS runs (process {os.getpid()})" in elias.err
    assert "`elias down` first" in elias.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_what_another_user_could_not_read_is_not_restored(elias: Elias, house: House, tmp_path: Path) -> None:
    elias("ledger", "backup", str(tmp_path / "one.backup"))
    house.close()
    os.chown(house.settings.state, 65534, 65534)
    elias("ledger", "restore", str(tmp_path / "one.backup"), "--aside")
    assert elias.code == 1
    assert "run it as " in elias.err


def test_a_back_up_in_a_folder_is_named_by_its_time_and_never_holds_another(
    elias: Elias, house: House, tmp_path: Path
) -> None:
    folder = house.settings.state / "backups"
    folder.mkdir()
    first = elias("ledger", "backup", str(folder)).splitlines()[0]
    assert PurePosixPath(first).match("backups/elias-*Z.backup")
    elias("ledger", "backup", str(tmp_path / "second"))
    assert members(tmp_path / "second") == {"token"}


def test_what_lies_on_another_disk_is_in_it_too(elias: Elias, house: House, tmp_path: Path) -> None:
    put(tmp_path / "larger", f"{'ab' * 32}/card.json")
    (house.settings.state / "policies").symlink_to(tmp_path / "larger")
    elias("ledger", "backup", str(tmp_path / "one.backup"))
    assert members(tmp_path / "one.backup") == {"token", f"policies/{'ab' * 32}/card.json"}


def test_another_ledger_is_backed_up_and_restored_alone(elias: Elias, house: House, tmp_path: Path) -> None:
    url = house.settings.ledger_url
    found = elias.json("ledger", "backup", str(tmp_path / "one.backup"), "--url", url)
    assert found["files"] == 0
    other = f"sqlite:///{tmp_path}/rehearsal.db"
    restored = elias.json("ledger", "restore", str(tmp_path / "one.backup"), "--url", other)
    assert (restored["files"], restored["root"]) == ([], found["root"])
    elias("ledger", "verify", "--url", other)
    assert elias.code == 0


def test_the_ledger_can_be_backed_up_without_the_state_folder(elias: Elias, house: House, tmp_path: Path) -> None:
    assert elias.json("ledger", "backup", str(tmp_path / "one.backup"), "--ledger-only")["files"] == 0
    assert members(tmp_path / "one.backup") == set()


def test_a_back_up_is_verified_without_restoring_it(elias: Elias, house: House, tmp_path: Path) -> None:
    found = elias.json("ledger", "backup", str(tmp_path / "one"))
    house.close()
    assert f"in the log of {found['size']} records, root {found['root']}" in elias(
        "ledger", "verify", str(tmp_path / "one")
    )
    elias("ledger", "verify", str(tmp_path / "one"), "--witness", f"{found['size']}:{found['root']}")
    assert elias.code == 0
    elias("ledger", "verify", str(tmp_path / "one"), "--witness", f"{found['size']}:{'00' * 32}")
    assert elias.code == 1
    os.truncate(tmp_path / "one", 3000)
    elias("ledger", "verify", str(tmp_path / "one"))
    assert elias.code == 1
    assert "where: " in elias.err
    assert "cure: " in elias.err


def test_the_page_names_what_is_left_out() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operate" / "backup.md").read_text()
    _, _, table = page.partition("<!-- left out: begin -->\n")
    rows = [row.strip("| ").split(" | ") for row in table.partition("<!-- left out: end -->")[0].splitlines()[2:]]
    assert {pattern.strip("`"): why for pattern, why in rows} == state.LEFT


# Accounts, on either database


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres.running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Settings, Settings]:
    """Two installations, on this and on the other kind of database."""
    server = request.getfixturevalue("postgres").new_url()
    urls = ("", server) if request.param == "sqlite" else (server, "")
    one, other = (
        Settings(state=tmp_path / name, ledger=LedgerSettings(url=url))
        for name, url in zip(("one", "other"), urls, strict=True)
    )
    one.state.mkdir()
    return one, other


def test_accounts_and_tokens_move_to_the_other_kind_of_database_and_sessions_end(
    two: tuple[Settings, Settings], tmp_path: Path
) -> None:
    clock = VirtualClock()
    db = Database.open(two[0])
    accounts, sessions, tokens = Accounts(db, clock), Sessions(db, clock, 60, 60), Tokens(db, clock, "root")
    accounts.add("ada", Role.ADMIN, PASSWORD)
    session = sessions.begin("ada", "127.0.0.1", "a browser")
    token, _ = tokens.make("ada", "for cron", frozenset({Scope.READ}), 30)
    before = accounts.all()
    db.close()
    with archive.writing(tmp_path / "one.backup") as writer:
        store = Store.open(two[0].ledger_url)
        take(store, writer, 0)
        store.close()
        state.save(two[0], writer)
    for expected in (1, 0):  # the second time they are there
        with archive.Reader(tmp_path / "one.backup") as reader:
            assert state.load(two[1], reader).accounts == expected
    db = Database.open(two[1])
    assert Accounts(db, clock).all() == before
    assert Tokens(db, clock, "root").person(token) is not None
    assert Sessions(db, clock, 60, 60).find(session) is None
    db.close()
