"""Bad conditions at the start and while it runs: each is told with a cure, and nothing acknowledged is lost."""

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tiki
from benchmarks.running import Running
from federation.clock import SystemClock
from federation.ledger.appender import Appender, Batch
from federation.ledger.store import Store
from federation.points import schemas, versions
from federation.records import BundleText, Entry, Kind, encode
from federation.runtime.roster import Roster
from tests.e2e.asking import cli, sample
from tests.e2e.conftest import SETTINGS
from tests.e2e.flow import check, members
from tests.e2e.waiting import until

SHIPPED = Path(__file__).resolve().parents[3] / "tiki_specs"


# -- at the start ---------------------------------------------------------------------------------------------------


def refusal(elias: Running) -> str:
    """What `elias up` says when it does not start: a mistake of the user's, in a few lines."""
    done = cli(elias, "up", check=False)
    assert done.returncode == 1, done.stderr
    assert "error: " in done.stderr
    assert "cure: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (elias.state / "ray.json").exists()
    return done.stderr


@pytest.fixture
def stopped(tmp_path: Path) -> Running:
    return Running(tmp_path)


@pytest.mark.parametrize(
    ("lines", "place", "says"),
    [
        ("listne:\n  port: 1\n", "elias.yaml:3:1", "did you mean `listen`?"),
        ("listen:\n  port: 1\n", "elias.yaml:3:1", "the key `listen` is given twice"),
        ("gate: &g {}\nledger: *g\n", "elias.yaml:4:9", "aliases are not allowed"),
        ("state: !!python/object/apply:os.system [id]\n", "elias.yaml:3:8", "correct this line"),
    ],
)
def test_a_mistake_in_the_settings_stops_the_start_with_its_line(
    stopped: Running, lines: str, place: str, says: str
) -> None:
    with (stopped.folder / "elias.yaml").open("a") as settings:
        settings.write(lines)
    said = refusal(stopped)
    assert place in said
    assert says in said


def test_a_port_that_is_in_use_is_named(stopped: Running) -> None:
    with socket.create_server(("127.0.0.1", stopped.port)):
        said = refusal(stopped)
    assert f"127.0.0.1:{stopped.port}" in said
    assert "set another one in elias.yaml" in said


def test_a_broken_spec_at_the_first_start_is_shown_with_place_code_and_what_it_may_have_meant(stopped: Running) -> None:
    specs = stopped.folder / "specs"
    shutil.copytree(SHIPPED, specs)
    path = specs / "urm" / "resource_pressure.tiki"
    path.write_text(path.read_text().replace("- otherwise: hold", "- otherwise: hlod"))
    with (stopped.folder / "elias.yaml").open("a") as settings:
        settings.write("specs: specs\n")
    line = path.read_text().split("hlod")[0].count("\n") + 1
    said = refusal(stopped)
    assert f"resource_pressure.tiki:{line}:" in said
    assert "did you mean `hold`" in said


@pytest.mark.parametrize("content", [b"", b"this is no database at all", b"SQLite format 3\0" + bytes(5000)])
def test_a_corrupt_ledger_is_named_and_left_as_it_is(stopped: Running, content: bytes) -> None:
    stopped.state.mkdir()
    ledger = stopped.state / "ledger.db"
    ledger.write_bytes(content)
    said = refusal(stopped)
    assert str(ledger) in said
    assert "restore" in said
    assert ledger.read_bytes() == content


def test_a_database_that_does_not_answer_at_the_start_is_named_at_once(stopped: Running) -> None:
    with (stopped.folder / "elias.yaml").open("a") as settings:
        settings.write("ledger:\n  url: postgresql://elias@127.0.0.1:1/elias\n")
    done = cli(stopped, "up", check=False)
    assert done.returncode == 3
    assert "see that it runs and that its address is right" in done.stderr


def test_a_folder_without_specs_is_named(stopped: Running) -> None:
    (stopped.folder / "specs").mkdir()
    with (stopped.folder / "elias.yaml").open("a") as settings:
        settings.write("specs: specs\n")
    assert "there is no spec in this folder" in refusal(stopped)


# -- specs that go away ---------------------------------------------------------------------------------------------


@pytest.fixture
def with_specs(tmp_path: Path) -> Iterator[Running]:
    """With specs of its own, which were in force before it was ended: a ledger as such a run leaves it."""
    elias = Running(tmp_path, f"{SETTINGS}specs: specs\n")
    shutil.copytree(SHIPPED, tmp_path / "specs")
    points = Roster("managers.roster").points
    bundle = tiki.load(tmp_path / "specs", schemas(points))
    elias.state.mkdir(mode=0o700)
    store = Store.open(str(elias.state / "ledger.db"))
    appender = Appender(store, SystemClock(), "before")
    appender.open()
    text = encode(BundleText(bundle.digest, bundle.texts, versions(points)))
    appender.commit([Batch("gate", appender.register("gate", {}), 0, [Entry(Kind.BUNDLE, "", "", "", text)])])
    appender.close()
    store.close()
    yield elias
    elias.stop()


def test_the_specs_in_force_outlast_a_broken_edit_a_restart_and_a_folder_that_is_gone(with_specs: Running) -> None:
    elias, specs = with_specs, with_specs.folder / "specs"
    path = specs / "urm" / "resource_pressure.tiki"
    sound = path.read_text()
    path.write_text(sound.replace("- otherwise: hold", "- otherwise: hlod"))
    elias.start()
    bundle = elias.get("/v1/bundle")[1]
    assert sound in bundle["sources"].values()
    assert "did you mean `hold`" in bundle["problem"]["message"]
    assert "hlod" in elias.log.read_text()

    (specs / ".#resource_pressure.tiki").symlink_to("ada@desk.1")  # how Emacs locks a file
    away = specs.rename(elias.folder / "unmounted")
    gone = until(lambda: _problem(elias, "there is no spec in this folder"))
    assert gone["digest"] == bundle["digest"]
    assert post(elias, "specs-gone")[0] == 200

    away.rename(specs)
    path.write_text(sound)
    until(lambda: elias.get("/v1/bundle")[1]["problem"] == {})
    assert elias.get("/v1/bundle")[1]["digest"] == bundle["digest"]


def _problem(elias: Running, says: str) -> Any:
    bundle = elias.get("/v1/bundle")[1]
    return bundle if says in bundle["problem"].get("message", "") else None


# -- while it runs --------------------------------------------------------------------------------------------------


def post(elias: Running, id: str) -> tuple[int, Any]:
    return elias.request("POST", "/v1/events", sample(id, id))


def refused_with_a_cure(elias: Running, id: str) -> bool:
    """Whether the event was not taken: 503 in the one envelope, and when to come again."""
    with contextlib.closing(elias.connect()) as connection:
        headers = {"Authorization": f"Bearer {elias.token}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/events", json.dumps(sample(id, id)), headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        if response.status == 200:
            return False
        assert response.status == 503
        assert response.headers["Retry-After"]
        assert answer["error"]["message"]
        assert "send it again" in answer["error"]["cure"]
        return True


def goes_on(elias: Running, before: dict[str, tuple[str, int]], acknowledged: dict[str, str]) -> None:
    """Events are taken again by the same processes, and nothing that was acknowledged is lost."""
    until(lambda: post(elias, "afterwards")[0] == 200)
    until(lambda: elias.get("/readyz")[0] == 200)
    assert members(elias) == before
    check(elias, acknowledged)


def test_a_database_that_another_process_keeps_locked_is_waited_for(elias: Running) -> None:
    before = members(elias)
    acknowledged = {"lock": post(elias, "lock")[1]["decisions"][0]["id"]}
    other = sqlite3.connect(elias.state / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        assert refused_with_a_cure(elias, "while-locked")
    finally:
        other.execute("ROLLBACK")
        other.close()
    goes_on(elias, before, acknowledged)


@pytest.fixture
def on_a_small_disk(tmp_path: Path) -> Iterator[Running]:
    state = tmp_path / ".elias"
    state.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m,mode=0700", "tmpfs", str(state)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        with Running(tmp_path, SETTINGS) as running:
            yield running
    finally:
        subprocess.run(["umount", "--lazy", str(state)], check=True)


def fill(file: Path) -> None:
    with file.open("ab", buffering=0) as out, contextlib.suppress(OSError):
        while True:
            out.write(bytes(4096))


def test_a_full_disk_is_waited_for_and_a_freeze_works_meanwhile(on_a_small_disk: Running) -> None:
    elias, filler = on_a_small_disk, on_a_small_disk.state / "filler"
    before = members(elias)
    acknowledged = {id: post(elias, id)[1]["decisions"][0]["id"] for id in ("full-1", "full-2")}
    fill(filler)
    # What is left of pages already in the write-ahead log may take a few more.
    more = 0
    while not refused_with_a_cure(elias, f"more-{more}"):
        fill(filler)
        more += 1
    assert cli(elias, "freeze", "the disk is full").returncode == 0
    assert elias.get("/v1/freeze")[1]["frozen"] is True
    filler.unlink()
    goes_on(elias, before, acknowledged)
    assert cli(elias, "unfreeze").returncode == 0
