"""A SQLite ledger and the index beside it: whatever happens to the index, the ledger answers as if nothing had."""

import logging
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from federation.clock import VirtualClock
from federation.errors import Bug, Fenced, Temporary
from federation.ledger import engines, sidecar
from federation.ledger.appender import Appender, Receipt
from federation.ledger.index import Index
from federation.ledger.store import Store
from federation.ledger.verify import verify

from .kit import Writer, decided, entry

IDS = [f"d{n}" for n in range(40)]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db-index"


@pytest.fixture
def filled(store: Store, writer: Writer) -> Store:
    """Each of IDS is asked, answered and has an outcome, in commits of their own."""
    for id in IDS:
        writer.write(*decided(id), entry("outcome", id))
    return store


def successor(store: Store) -> Writer:
    appender = Appender(store, VirtualClock(), "successor")
    appender.open(force=True)
    return Writer(appender)


def answers(store: Store) -> None:
    """Everything that was written is found, and nothing else."""
    assert store.known([*IDS, "nothing"]).keys() == set(IDS)
    for id in IDS:
        assert [r.header.kind for r in store.decision(id)] == ["asked", "answered", "outcome"]
    assert store.decision("nothing") == []


def refuses_repeats(writer: Writer) -> None:
    """Neither what the ledger holds nor what comes twice in one commit is asked or answered again."""
    for again in ([entry("asked", IDS[3])], [entry("answered", IDS[-1])], [*decided("twice"), entry("asked", "twice")]):
        batch = writer.batch(*again)
        (result,) = writer.appender.commit([batch])
        assert isinstance(result, Bug)
        writer.number = batch.number


def scans(path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Whether a reader found no index that it could use."""
    used: list[bool] = []
    covering = sidecar.Sidecar._covering

    def watched(self: sidecar.Sidecar) -> tuple[Index | None, int, int]:
        found = covering(self)
        used.append(found[0] is not None)
        return found

    monkeypatch.setattr(sidecar.Sidecar, "_covering", watched)
    return lambda: not used[-1]


def gone(path: Path) -> None:
    path.unlink()


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def of_another_ledger(path: Path) -> None:
    """With as many records, and in use on this machine."""
    store = Store.open(f"sqlite:///{path.parent}/other.db")
    writer = successor(store)
    for id in IDS:
        writer.write(*decided(f"other {id}"))
    store.close()
    path.with_name("other.db-index").replace(path)


def torn_by_a_loss_of_power(path: Path) -> None:
    """The header and the marks came to the disk, the tables did not."""
    with path.open("r+b") as file:
        file.seek(16)
        file.write(os.urandom(16))
        file.seek(4096)
        file.write(bytes(path.stat().st_size - 4096))


@pytest.mark.parametrize("damage", [gone, garbage, empty, of_another_ledger, torn_by_a_loss_of_power])
def test_an_index_that_cannot_be_trusted_is_passed_over_by_readers_and_made_anew_by_the_appender(
    filled: Store,
    url: str,
    beside: Path,
    open_store: Callable[..., Store],
    damage: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    filled.close()
    damage(beside)
    reader = open_store(read_only=True)
    scanned = scans(beside, monkeypatch)
    answers(reader)
    assert scanned()
    writer = successor(open_store())
    answers(reader)
    assert not scanned()
    refuses_repeats(writer)
    writer.write(*decided("after"))
    assert reader.known(["after"])
    assert verify(reader)


def test_a_folder_in_its_place_is_named_and_nothing_is_lost(
    filled: Store, beside: Path, open_store: Callable[..., Store]
) -> None:
    a_folder(beside)
    answers(open_store(read_only=True))
    with pytest.raises(
        Temporary, match=r"ledger\.db-index: the index of decisions cannot be written .* can be deleted"
    ):
        successor(open_store())
    beside.rmdir()
    refuses_repeats(successor(open_store()))


def test_deleted_under_a_running_appender_it_is_made_anew_with_the_next_commit(
    filled: Store, writer: Writer, beside: Path, open_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = open_store(read_only=True)
    answers(reader)
    beside.unlink()
    writer.write(*decided("after"))
    refuses_repeats(writer)
    scanned = scans(beside, monkeypatch)
    answers(reader)
    assert reader.known(["after"])
    assert not scanned()


def test_a_reader_notices_that_an_older_copy_was_written_over_the_index(
    filled: Store, writer: Writer, beside: Path, open_store: Callable[..., Store]
) -> None:
    older = beside.read_bytes()
    writer.write(*decided("later"))
    reader = open_store(read_only=True)
    assert reader.known(["later"])
    with beside.open("r+b") as file:
        file.write(older)
    assert reader.known(["later"])


def test_a_copy_of_the_database_alone_reads_right(filled: Store, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger.db") as source, sqlite3.connect(tmp_path / "copy.db") as copy:
        source.backup(copy)
    source.close()
    copy.close()
    reader = Store.open(str(tmp_path / "copy.db"), read_only=True)
    answers(reader)
    reader.close()
    assert not (tmp_path / "copy.db-index").exists()


def test_an_older_copy_put_back_finds_its_index_ahead_and_goes_on(
    store: Store, writer: Writer, tmp_path: Path, open_store: Callable[..., Store]
) -> None:
    for id in IDS:
        writer.write(*decided(id), entry("outcome", id))
    with sqlite3.connect(tmp_path / "ledger.db") as source, sqlite3.connect(tmp_path / "copy.db") as copy:
        source.backup(copy)
    source.close()
    copy.close()
    for n in range(10):
        writer.write(*decided(f"lost {n}"))
    store.close()
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "copy.db").replace(tmp_path / "ledger.db")
    reader = open_store(read_only=True)
    answers(reader)
    assert reader.known(["lost 3"]) == {}
    again = successor(open_store())
    again.write(*decided("lost 3"))
    refuses_repeats(again)
    answers(reader)
    assert len(reader.decision("lost 3")) == 2
    assert verify(reader)


def test_an_index_that_is_behind_is_read_as_far_as_it_goes_and_then_completed(
    store: Store, writer: Writer, beside: Path, open_store: Callable[..., Store]
) -> None:
    for id in IDS[:20]:
        writer.write(*decided(id), entry("outcome", id))
    writer.appender.close()
    kept = beside.with_name("kept")
    shutil.copy(beside, kept)
    for id in IDS[20:]:
        writer.write(*decided(id), entry("outcome", id))
    kept.replace(beside)
    answers(open_store(read_only=True))
    again = successor(open_store())
    answers(open_store(read_only=True))
    refuses_repeats(again)


def test_making_it_anew_tells_how_far_it_is(
    filled: Store,
    beside: Path,
    open_store: Callable[..., Store],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beside.unlink()
    monkeypatch.setattr(sidecar, "CHUNK", 50)
    with caplog.at_level(logging.INFO, "elias.ledger"):
        successor(open_store())
    told = [record.getMessage() for record in caplog.records]
    assert "indexing the decisions of 122 records" in told[0]
    assert [text.rpartition(": ")[2] for text in told[1:]] == [
        "50 of 122 records",
        "101 of 122 records",
        "122 of 122 records",
    ]
    answers(filled)


def test_an_appender_that_is_no_longer_in_charge_leaves_the_index_as_it_is(
    filled: Store, writer: Writer, beside: Path, open_store: Callable[..., Store]
) -> None:
    new = successor(open_store())
    new.write(*decided("new"))
    before = beside.read_bytes()
    with pytest.raises(Fenced):
        writer.appender.commit([writer.batch(*decided("old"))])
    writer.appender.close()
    assert beside.read_bytes() == before
    new.write(*decided("newer"))
    answers(filled)
    assert filled.known(["new", "newer", "old"]).keys() == {"new", "newer"}


def test_one_that_comes_back_into_charge_keeps_what_the_other_wrote(
    filled: Store, writer: Writer, open_store: Callable[..., Store]
) -> None:
    other = successor(open_store())
    other.write(*decided("between"))
    back = successor(filled)
    back.write(*decided("back"))
    answers(filled)
    assert filled.known(["between", "back"]).keys() == {"between", "back"}
    refuses_repeats(back)


def test_a_commit_that_failed_is_not_in_the_way_of_the_same_decisions(
    filled: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index was entered, the records were not."""
    insert = engines.insert_records

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    batch = writer.batch(*decided("late"), *decided("later"))
    for _ in range(3):
        monkeypatch.setattr(engines, "insert_records", full)
        with pytest.raises(Bug):
            writer.appender.commit([batch])
        assert filled.known(["late"]) == {}
        monkeypatch.setattr(engines, "insert_records", insert)
    (result,) = writer.appender.commit([batch])
    assert isinstance(result, Receipt)
    assert filled.known(["late", "later"]).keys() == {"late", "later"}
    refuses_repeats(writer)


def test_readers_see_every_commit_while_the_index_grows(writer: Writer, open_store: Callable[..., Store]) -> None:
    readers = [open_store(read_only=True) for _ in range(2)]
    written: list[str] = []
    for n in range(12):
        ids = [f"{n}-{k}" for k in range(1000)]
        writer.write(*[e for id in ids for e in decided(id)])
        written += ids
        assert readers[0].known(ids).keys() == set(ids)
    assert readers[1].known(written).keys() == set(written)
