"""kill -9 of a training that ULM started, and of ULM while it runs: the training goes on by itself and is followed to
its end, and an operator sees what came of it.
"""

import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.running import Running
from federation.ledger.store import Store
from federation.records import Kind
from tests.e2e.asking import cli
from tests.e2e.shared.test_promotion_killed import kill
from tests.e2e.waiting import until

WANTED = {"role": "operator", "parameters": 900_000, "hardware": "cpu", "memory": "8GB", "latency": "1s"}
HOW = {"method": "full", "objective": "dpo"}  # no person has overridden anything, so it ends as soon as it begins


@pytest.fixture
def decision(elias: Running) -> Iterator[str]:
    """That a policy is trained, and acted upon."""
    cli(elias, "mode", "ulm.base_model/train", "act")
    event = {
        "specversion": "1.0",
        "id": "train",
        "source": "test",
        "type": "elias.training.prepared",
        "subject": "mine",
    }
    _, answer = elias.request("POST", "/v1/events", event | {"data": WANTED | HOW})
    (decided,) = answer["decisions"]
    assert (decided["action"], decided["args"]) == ("train", {"base": "current"})
    yield decided["id"]
    cli(elias, "mode", "ulm.base_model/train", "observe")


def at_work(folder: Path) -> list[psutil.Process]:
    """Processes of the training in this folder."""
    return [p for p in psutil.process_iter(["cmdline"]) if str(folder) in (p.info["cmdline"] or ())]


def jobs(elias: Running, decision: str) -> list[str]:
    """That were submitted for it."""
    store = Store.open(f"sqlite:///{elias.state / 'ledger.db'}", read_only=True)
    try:
        asked = store.read(kinds=[Kind.ASKED], points=["urm.admission"])
        return [r.header.subject for r in asked if r.header.subject.startswith(f"training-{decision[:12]}")]
    finally:
        store.close()


def test_a_training_that_is_killed_goes_on_and_its_end_is_told(elias: Running, decision: str) -> None:
    folder = elias.state / "trainings" / decision
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as held:  # as if one before it were still at work, so that it waits to be killed
        fcntl.flock(held, fcntl.LOCK_EX)
        for process in until(lambda: at_work(folder)):
            process.kill()
        until(lambda: len(jobs(elias, decision)) == 2)
        until(lambda: at_work(folder))
        kill(elias, "ulm")
    ended = until(lambda: outcome(elias, decision))
    first = f"training-{decision[:12]}"
    assert jobs(elias, decision) == [first, f"{first}-2"]
    assert ended["outcome"] == "failed"
    assert f"job {first}-2: " in ended["steps"][-1]["detail"]


def outcome(elias: Running, decision: str) -> Any:
    _, found = elias.get(f"/v1/decisions/{decision}")
    return found if found.get("outcome") else None
