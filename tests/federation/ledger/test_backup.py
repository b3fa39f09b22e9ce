"""Back-ups: taken while an appender writes, refused when they are not whole, and put in the place of a ledger."""

import contextlib
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy

from federation.clock import SECOND, SystemClock, VirtualClock
from federation.effects import Executor, FreezeFlag
from federation.errors import Corrupt, Fenced, Refused, Temporary
from federation.ledger.appender import Appender
from federation.ledger.backup import archive
from federation.ledger.backup.restoring import Restored, check, restore
from federation.ledger.backup.taking import take
from federation.ledger.headship import Headship
from federation.ledger.merkle import EMPTY
from federation.ledger.store import Head, Store
from federation.ledger.verify import verify

from .kit import Writer, decided, entry
from .postgres import Postgres

on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
on_postgres = pytest.mark.parametrize("url", ["postgresql"], indirect=True)


@pytest.fixture
def elsewhere(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Another ledger that does not exist yet, in a database of the same kind."""
    if url.startswith("sqlite"):
        (tmp_path / "elsewhere").mkdir()
        return f"sqlite:///{tmp_path}/elsewhere/ledger.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_url()


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return tmp_path / "one.backup"


def taken(store: Store, path: Path) -> Head:
    with archive.writing(path) as writer:
        return take(store, writer, 0)


def restored(path: Path, url: str, *, aside: bool = False) -> Restored:
    return restore(path, url, SystemClock(), aside=aside)


@pytest.fixture
def written(store: Store, writer: Writer) -> Store:
    """A ledger with several parts in its back-up, tiles, and a snapshot."""
    for n in range(60):
        writer.write(*(one for k in range(25) for one in decided(f"d{n}-{k}")), entry("event", body=os.urandom(500)))
    store.snapshot_save("ufm", store.head().size, b"what the manager knew")
    return store


def rows(store: Store) -> list[object]:
    return list(store.rows(upto=store.head().size))


@contextlib.contextmanager
def opened(url: str) -> Iterator[Store]:
    store = Store.open(url)
    yield store
    store.close()


# What a back-up is


def test_what_is_restored_is_what_was_backed_up_and_verifies(written: Store, backup: Path, elsewhere: str) -> None:
    head = taken(written, backup)
    assert head == written.head()
    assert check(backup) == head
    assert restored(backup, elsewhere)[0] == head
    with opened(elsewhere) as store:
        assert verify(store)
        assert rows(store) == rows(written)
        assert list(store.checkpoints()) == list(written.checkpoints())
        assert store.hashes(8, 0, 100) == written.hashes(8, 0, 100) != []
        assert store.standings() == written.standings()
        assert store.snapshot_load("ufm") == written.snapshot_load("ufm")
        assert [r.header.kind for r in store.decision("d7-7")] == ["asked", "answered"]


def test_of_an_empty_ledger_too(store: Store, backup: Path, elsewhere: str) -> None:
    assert taken(store, backup) == Head(0, 0, EMPTY, 0)
    assert restored(backup, elsewhere).head.size == 0


@on_sqlite
def test_from_sqlite_to_postgresql_and_back(written: Store, backup: Path, tmp_path: Path, postgres: Postgres) -> None:
    taken(written, backup)
    server = postgres.new_url()
    restored(backup, server)
    with opened(server) as store:
        taken(store, tmp_path / "two.backup")
    restored(tmp_path / "two.backup", f"{tmp_path}/again.db")
    with opened(f"{tmp_path}/again.db") as store:
        assert rows(store) == rows(written)
        assert verify(store)


def test_it_is_for_its_owner_alone_and_tar_lists_it(written: Store, backup: Path) -> None:
    taken(written, backup)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with tarfile.open(backup) as tar:
        names = tar.getnames()
    assert (names[0], names[-2:]) == (archive.FIRST, [archive.REST, archive.LAST])
    assert sum(name.endswith(".z") for name in names) > 1


def test_a_file_that_is_there_is_not_written_over(store: Store, backup: Path) -> None:
    backup.write_bytes(b"mine")
    with pytest.raises(Refused, match="there is a file of this name already"):
        taken(store, backup)
    assert backup.read_bytes() == b"mine"


def test_what_fails_on_the_way_leaves_nothing(store: Store, backup: Path) -> None:
    def failing() -> None:
        with archive.writing(backup) as writer:
            take(store, writer, 0)
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        failing()
    assert list(backup.parent.glob("*backup*")) == []


def test_of_a_ledger_that_was_tampered_with_there_is_none(written: Store, backup: Path) -> None:
    with written.engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE records SET subject = 'node-18' WHERE seq = 700"))
    with pytest.raises(Corrupt, match="record 700 is not what was hashed"):
        taken(written, backup)
    assert not backup.exists()


def test_of_a_ledger_that_misses_records_there_is_none(written: Store, backup: Path) -> None:
    with written.engine.begin() as connection:
        connection.execute(sqlalchemy.text("DELETE FROM records WHERE seq = 700"))
    with pytest.raises(Corrupt, match="record 700 is missing"):
        taken(written, backup)


# While an appender writes


Append = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def append(url: str, tmp_path: Path) -> Iterator[Append]:
    """Starts a process that appends without end."""
    children: list[subprocess.Popen[bytes]] = []
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    with (tmp_path / "said").open("wb") as out:

        def start(*options: str) -> "subprocess.Popen[bytes]":
            command = [sys.executable, "-m", "ledger.child", url, "child", *options]
            children.append(subprocess.Popen(command, stdout=out, env={**os.environ, "PYTHONPATH": path}))
            return children[-1]

        yield start
        for child in children:
            child.kill()
            child.wait()


def test_each_back_up_while_an_appender_writes_is_a_beginning_of_the_ledger(
    store: Store, append: Append, tmp_path: Path
) -> None:
    child = append()
    heads: list[Head] = []
    while len(heads) < 4:
        assert child.poll() is None
        if store.head().size > (heads[-1].size if heads else 500):
            heads.append(taken(store, tmp_path / f"{len(heads)}.backup"))
    for n, head in enumerate(heads):
        assert check(tmp_path / f"{n}.backup") == head
        restored(tmp_path / f"{n}.backup", f"{tmp_path}/{n}.db")
        with opened(f"{tmp_path}/{n}.db") as copy:
            assert verify(copy)
        assert verify(store, witness=head)


def test_a_ledger_in_use_is_not_replaced(url: str, store: Store, append: Append, backup: Path) -> None:
    child = append()
    while store.head().size < 100:
        assert child.poll() is None
    size = taken(store, backup).size
    store.close()
    with pytest.raises((Refused, Temporary), match=r"a process has this ledger open|child holds the lease"):
        restored(backup, url, aside=True)
    with opened(url) as again:
        assert again.head().size >= size


@on_sqlite
def test_nor_is_one_that_a_process_without_the_lease_has_open(
    url: str, store: Store, append: Append, backup: Path, tmp_path: Path, clock: VirtualClock
) -> None:
    child = append("between")
    while b"stopped" not in (tmp_path / "said").read_bytes():
        assert child.poll() is None
    taken(store, backup)
    store.acquire("nobody", clock.now(), 0, force=True)
    store.close()
    with pytest.raises(Refused, match="a process has this ledger open") as refused:
        restored(backup, url, aside=True)
    assert "fuser" in refused.value.cure


@on_postgres
def test_nor_is_one_while_a_machine_is_the_head_that_could_begin_an_epoch(
    url: str, written: Store, backup: Path, tmp_path: Path
) -> None:
    taken(written, backup)
    headship = Headship.open(url, tmp_path / "machine", 1000.0)
    assert headship is not None
    term = headship.take("node-1", "10.0.0.1:6380")
    assert term is not None
    with pytest.raises(Temporary, match="node-1 is the head"):
        restored(backup, url, aside=True)
    headship.release(term)
    headship.close()
    assert restored(backup, url, aside=True).head == written.head()


# What is refused


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_at_a_part(path: Path) -> None:
    """As a copy that ended early, by chance where the parts of tar meet."""
    with tarfile.open(path) as tar:
        os.truncate(path, tar.getmembers()[2].offset)


def flipped(name: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with tarfile.open(path) as tar:
            member = next(one for one in tar if one.name.startswith(name))
        with path.open("rb+") as file:
            file.seek(member.offset_data + member.size // 2)
            (byte,) = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 1]))

    return damage


def header(path: Path) -> None:
    with tarfile.open(path) as tar:
        member = tar.getmembers()[2]
    with path.open("rb+") as file:
        file.seek(member.offset + 100)
        file.write(b"\xff" * 8)


def foreign(path: Path) -> None:
    path.write_bytes(b"this is no back-up " * 1000)


def another_archive(path: Path) -> None:
    with tarfile.open(path, "w") as tar:
        tar.add(__file__, "songs.txt")


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (cut, "cannot be read on, after its part backup.json"),
        (cut_at_a_part, "cannot be read on, after its part ledger/000000000001.z"),
        (header, "cannot be read on, after its part ledger/000000000001.z"),
        (flipped("ledger/0"), "damaged in its part ledger/000000000001.z"),
        (flipped(archive.REST), f"damaged in its part {archive.REST}"),
        (flipped(archive.LAST), "damaged in its part "),
        (flipped(archive.FIRST), "damaged in its part "),
        (foreign, "this is no back-up of ELIAS"),
        (another_archive, "this is no back-up of ELIAS"),
        (gone, "No such file"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_no_whole_back_up_is_refused_and_nothing_is_made(
    written: Store, backup: Path, elsewhere: str, damage: Callable[[Path], None], says: str
) -> None:
    taken(written, backup)
    damage(backup)
    for attempt in (lambda: check(backup), lambda: restored(backup, elsewhere)):
        with pytest.raises(Refused, match=says) as refused:
            attempt()
        assert refused.value.place == str(backup)
        assert refused.value.cure
    if elsewhere.startswith("sqlite"):
        assert list((backup.parent / "elsewhere").iterdir()) == []
    else:
        with opened(elsewhere) as store:
            assert store.head().size == 0


@pytest.mark.parametrize(
    ("left_out", "says"), [("ledger/000000000001.z", "record 1 is missing"), ("ledger/000000002", "it leads to 20")]
)
def test_one_that_was_put_together_by_hand_does_not_lead_to_its_root(
    written: Store, backup: Path, tmp_path: Path, left_out: str, says: str
) -> None:
    """Whole by its digests, which anybody can write."""
    taken(written, backup)
    with tarfile.open(backup) as tar, archive.writing(tmp_path / "made.backup") as made:
        for member in tar.getmembers()[:-1]:
            content = tar.extractfile(member)
            assert content is not None
            if not member.name.startswith(left_out):
                made.add(member.name, content.read())
    with pytest.raises(Refused, match=says):
        check(tmp_path / "made.backup")


def test_a_record_that_was_changed_by_hand_does_not_lead_to_its_root(
    written: Store, backup: Path, tmp_path: Path
) -> None:
    taken(written, backup)
    with archive.Reader(backup) as reader, archive.writing(tmp_path / "made.backup") as made:
        made.add(archive.FIRST, msgspec.json.encode(reader.about))
        for name, part in reader.members():
            content = part.read()
            if name == archive.REST:
                made.add(name, content)
                continue
            commits = reader.commits(name, content)
            header, _ = commits[0].records[0]
            commits[0].records[0] = (header, b'{"holder":"somebody else"}')
            made.commits(header.seq, commits)
    with pytest.raises(Refused, match=r"part ledger/000000000001\.z: the tree over the records 1 to 1 is not that"):
        check(tmp_path / "made.backup")


def test_a_ledger_that_holds_records_stays_unless_it_is_put_aside(
    url: str, written: Store, writer: Writer, backup: Path
) -> None:
    head = taken(written, backup)
    writer.write(*decided("after the back-up"))
    writer.appender.close()
    lost = written.head()
    written.close()
    with pytest.raises(Refused, match=f"there is a ledger of {lost.size} records") as refused:
        restored(backup, url)
    assert "--aside" in refused.value.cure
    with opened(url) as store:
        assert store.head() == lost
    found = restored(backup, url, aside=True)
    with opened(url) as store:
        assert store.head() == head
        assert store.known(["after the back-up"]) == {}
    if url.startswith("sqlite"):
        with opened(found.aside) as old:
            assert old.head() == lost
            assert len(old.decision("after the back-up")) == 2
            assert verify(old)
    else:
        with opened(url) as store:
            schema = found.aside.removeprefix("schema ")
            size = store.fetch(sqlalchemy.text(f"SELECT max(size) FROM {schema}.checkpoints"))
        assert size[0][0] == lost.size


@on_sqlite
@pytest.mark.parametrize("content", [b"", b"this is no database at all " * 1000])
def test_a_damaged_ledger_is_put_aside_as_it_is(
    url: str, written: Store, backup: Path, tmp_path: Path, content: bytes
) -> None:
    head = taken(written, backup)
    written.close()
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    path.with_name("ledger.db-wal").write_bytes(b"what it had not yet taken in")
    with pytest.raises(Refused, match="there is a ledger, and it is damaged") as refused:
        restored(backup, url)
    assert "--aside" in refused.value.cure
    found = restored(backup, url, aside=True)
    assert Path(found.aside).read_bytes() == content
    assert Path(f"{found.aside}-wal").read_bytes() == b"what it had not yet taken in"
    with opened(url) as store:
        assert store.head() == head
        assert verify(store)


@on_sqlite
def test_a_database_of_something_else_stays(written: Store, backup: Path, tmp_path: Path) -> None:
    taken(written, backup)
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/songs.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE songs (title)")
    engine.dispose()
    with pytest.raises(Refused, match="this database holds no ledger"):
        restored(backup, f"{tmp_path}/songs.db", aside=True)


@pytest.mark.parametrize("address", ["mysql://localhost/ledger", "://", "sqlite://"])
def test_an_address_that_cannot_be_right_is_refused(store: Store, backup: Path, address: str) -> None:
    taken(store, backup)
    with pytest.raises(Refused, match="a ledger cannot be kept there"):
        restored(backup, address)


# Afterwards


def test_the_restored_ledger_goes_on_under_an_epoch_that_nobody_held(
    url: str, written: Store, writer: Writer, backup: Path, tmp_path: Path
) -> None:
    taken(written, backup)
    before, clock = writer.appender, SystemClock()
    before.close()
    for _ in range(5):
        assert before.open() == before.epoch
        before.close()
    before.open()
    executor = Executor(tmp_path / "node.db", {}, clock, FreezeFlag(tmp_path))
    assert executor.greet(before.epoch, 9)
    before.close()
    written.close()
    restored(backup, url, aside=True)
    with opened(url) as store:
        appender = Appender(store, clock, "the next")
        assert appender.open() > before.epoch
        assert executor.greet(appender.epoch, 1)
        with pytest.raises(Fenced):
            store.renew(before.epoch, clock.now(), SECOND)
        with pytest.raises(Fenced):
            store.commit(Head(1, 0, EMPTY, before.epoch), [], [])
        again = Writer(appender)
        assert again.incarnation == writer.incarnation + 1
        again.write(*decided("afterwards"))
        assert len(store.decision("afterwards")) == 2
        assert verify(store)
    executor.close()


def test_each_restore_of_the_same_back_up_begins_under_a_greater_epoch(
    written: Store, writer: Writer, backup: Path, elsewhere: str
) -> None:
    taken(written, backup)
    clock = VirtualClock()
    epochs = [restore(backup, elsewhere, clock, aside=True).epoch for _ in range(3)]
    assert sorted(set(epochs)) == epochs


# No room


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@on_sqlite
def test_a_full_disk_leaves_no_half_back_up_and_no_half_ledger(
    written: Store, writer: Writer, backup: Path, small_disk: Path
) -> None:
    for _ in range(10):
        writer.write(entry("event", body=os.urandom(50_000)))
    with pytest.raises(OSError, match="No space") as full:
        taken(written, small_disk / "one.backup")
    assert full.value.filename == f"{small_disk}/one.backup"
    assert list(small_disk.iterdir()) == []
    taken(written, backup)
    with pytest.raises(Temporary, match="the disk is full"):
        restored(backup, f"{small_disk}/ledger.db")
    assert list(small_disk.iterdir()) == []
