"""A real process that appends is killed or stopped at any moment; another goes on from the same ledger."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from federation.clock import SystemClock
from federation.errors import Bug, Temporary
from federation.ledger import engines
from federation.ledger.appender import Appender, Batch
from federation.ledger.index import Index
from federation.ledger.store import Store
from federation.ledger.verify import verify

from .kit import Writer, decided

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(url: str) -> Iterator[Start]:
    children: list[subprocess.Popen[str]] = []
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])

    def start_one(name: str, *options: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "ledger.child", url, name, *options]
        children.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})
        )
        return children[-1]

    yield start_one
    for child in children:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def said_until(child: "subprocess.Popen[str]", word: str) -> list[str]:
    """Its lines up to the one that has the word."""
    assert child.stdout is not None
    said = []
    for line in child.stdout:
        said.append(line)
        if word in line:
            return said
    raise AssertionError(f"it ended after {said}")


def acknowledged(said: list[str]) -> set[str]:
    return {id for line in said if line.endswith("\n") for id in line.split() if "-" in id}


def opened(store: Store) -> Appender:
    appender = Appender(store, SystemClock(), "successor")
    appender.open(force=True)
    return appender


def test_after_kill_9_in_mid_write_the_next_goes_on_and_nothing_acknowledged_is_lost(
    start: Start, open_store: Callable[[], Store]
) -> None:
    ids: set[str] = set()
    for life in range(4):
        child = start(f"life{life}")
        said = said_until(child, f"life{life}-{2 + 5 * life}-")
        child.kill()
        ids |= acknowledged(said + child.communicate()[0].splitlines(keepends=True))
    store = open_store()
    writer = Writer(opened(store))
    writer.write(*decided("after"))
    assert len(ids) >= 20 * (3 + 8 + 13 + 18)
    assert store.known(list(ids)).keys() == ids
    assert writer.incarnation == 5
    assert verify(store)


def test_an_appender_stopped_between_commits_that_wakes_after_a_takeover_is_fenced(
    start: Start, open_store: Callable[[], Store]
) -> None:
    old = start("old", "between")
    said_until(old, "stopped")
    store = open_store()
    Writer(opened(store)).write(*decided("new"))
    size = store.head().size
    old.send_signal(signal.SIGCONT)
    assert "fenced" in old.communicate()[0]
    assert old.returncode == 3
    assert store.head().size == size
    assert verify(store)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_session_stopped_in_the_middle_of_a_commit_is_ended_by_the_server(
    start: Start, open_store: Callable[[], Store]
) -> None:
    old = start("old", "middle")
    ids = acknowledged(said_until(old, "stopped"))
    store = open_store()
    Writer(opened(store)).write(*decided("new"))
    size = store.head().size
    old.send_signal(signal.SIGCONT)
    assert "fenced" in old.communicate()[0]
    assert store.head().size == size
    assert store.known(list(ids)).keys() == ids
    assert verify(store)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_process_stopped_while_it_holds_a_file_is_named_and_once_ended_in_nobodys_way(
    start: Start, open_store: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_SECONDS", 0.2)
    old = start("old", "middle")
    ids = acknowledged(said_until(old, "stopped"))
    store = open_store()
    with pytest.raises(Temporary, match="locked by another process; find who holds it"):
        opened(store)
    old.kill()
    old.wait()
    Writer(opened(store)).write(*decided("new"))
    assert store.known(list(ids)).keys() == ids
    assert verify(store)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_killed_again_and_again_the_index_stays_in_use_and_misses_nothing(
    start: Start, open_store: Callable[..., Store], tmp_path: Path
) -> None:
    beside = tmp_path / "ledger.db-index"
    ids: set[str] = set()
    files = set()
    for life in range(6):
        child = start(f"life{life}", *(["middle"] if life % 2 else []))
        said = said_until(child, "stopped" if life % 2 else f"life{life}-{3 + life}-")
        child.kill()
        ids |= acknowledged(said + child.communicate()[0].splitlines(keepends=True))
        files.add(beside.stat().st_ino)
    writer = Writer(opened(open_store()))
    files.add(beside.stat().st_ino)
    assert len(files) == 1
    asked = {record.header.decision: record.header.seq for record in open_store().read(kinds=["asked"])}
    assert ids <= asked.keys()
    index = Index(beside, write=False)
    assert all(seq in index.find([id]) for id, seq in asked.items())
    left = "life5-2-0"  # entered, and stopped before its commit
    assert left not in asked
    assert index.find([left])
    assert open_store().known([left, *ids]).keys() == ids
    writer.write(*decided(left))
    for id in (left, min(ids)):
        assert isinstance(writer.appender.commit([Batch("ufm", writer.incarnation, 1, [*decided(id)])])[0], Bug)
    assert verify(open_store())


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_an_appender_that_wakes_after_a_takeover_does_not_touch_the_index(
    start: Start, open_store: Callable[..., Store], tmp_path: Path
) -> None:
    old = start("old", "between")
    ids = acknowledged(said_until(old, "stopped"))
    store = open_store()
    Writer(opened(store)).write(*decided("new"))
    before = (tmp_path / "ledger.db-index").read_bytes()
    old.send_signal(signal.SIGCONT)
    assert "fenced" in old.communicate()[0]
    assert (tmp_path / "ledger.db-index").read_bytes() == before
    assert store.known(["new", *ids]).keys() == {"new", *ids}
