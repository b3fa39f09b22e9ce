"""`elias freeze` while the database is down: no further effect, and everything goes on once the database is back."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.running import Running
from federation.ledger.store import Store
from federation.ledger.verify import verify
from federation.records import Freeze, Kind
from tests.e2e.asking import cli, sample
from tests.e2e.conftest import SETTINGS
from tests.e2e.flow import members
from tests.e2e.waiting import until
from tests.federation.ledger.postgres import Postgres

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A server of this test's own: it is stopped while others may use theirs."""
    with Postgres.running() as server:
        yield server


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_url()


@pytest.fixture
def on_postgres(tmp_path: Path, url: str) -> Iterator[Running]:
    with Running(tmp_path, f"{SETTINGS}  url: {url}\n") as running:
        yield running


def asked_directly(elias: Running, file: Path) -> dict[str, Any]:
    """What the executor of this node says to an order that no gate has sent."""
    command = [sys.executable, "-m", "tests.e2e.order", str(elias.state), str(file)]
    done = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


def freezes(url: str) -> list[Freeze]:
    store = Store.open(url, read_only=True)
    try:
        return [msgspec.json.decode(r.body, type=Freeze) for r in store.read(kinds=[Kind.FREEZE])]
    finally:
        store.close()


def test_a_freeze_without_the_database_stops_every_effect_and_is_put_on_record_later(
    on_postgres: Running, postgres: Postgres, url: str, tmp_path: Path
) -> None:
    elias = on_postgres
    before = members(elias)

    postgres.stop()
    frozen = cli(elias, "freeze", "the cooling failed")
    assert frozen.returncode == 0
    assert "effects are frozen on this node" in frozen.stdout
    assert "the ledger takes no record now, it follows" in frozen.stdout
    outcome = asked_directly(elias, tmp_path / "directly")
    assert outcome["status"] == "refused"
    assert "frozen" in outcome["detail"]
    posted = cli(elias, "run", "--cpu", "0.1", "--", "touch", str(tmp_path / "posted"), check=False)
    assert posted.returncode == 3
    assert "error:" in posted.stderr
    assert "FROZEN" in cli(elias, "status").stdout

    postgres.start()
    until(lambda: elias.get("/readyz")[0] == 200)
    until(lambda: freezes(url))
    assert freezes(url)[0].on
    assert freezes(url)[0].reason == "the cooling failed"
    assert members(elias) == before
    assert elias.request("POST", "/v1/events", sample("while-frozen"))[0] == 200
    held = cli(elias, "run", "--detach", "--json", "--cpu", "0.1", "--", "touch", str(tmp_path / "held"))
    job = json.loads(held.stdout)["job"]
    until(lambda: elias.get(f"/v1/jobs/{job}")[1]["state"] == "case")

    assert cli(elias, "unfreeze").returncode == 0
    assert [word.on for word in freezes(url)] == [True, False]
    assert cli(elias, "run", "--cpu", "0.1", "--", "touch", str(tmp_path / "after")).returncode == 0
    assert (tmp_path / "after").exists()
    assert [name for name in ("directly", "posted", "held") if (tmp_path / name).exists()] == []
    store = Store.open(url, read_only=True)
    assert verify(store)
    store.close()
