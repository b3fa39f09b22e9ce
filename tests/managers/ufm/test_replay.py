"""The openb trace through UFM's real path: gate, ledger and all."""

import csv
import os
from pathlib import Path

import pytest

from federation.ledger.store import Store
from federation.ledger.verify import verify
from federation.local import points_of
from federation.replay import replay as replay_ledger
from managers.ufm.manager import Ufm
from managers.ufm.replay import replay

DATA = Path(os.environ.get("ELIAS_DATA", "data")) / "openb"


def published(algorithm: str, seed: int) -> float:
    """Column 130 of the published table."""
    with (DATA / "published_allocation.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            name = row["sc_policy"].split("-", 1)[1].lower()
            if (
                row["workload"].endswith("_default")
                and name == algorithm.replace("_", "")
                and row["seed"] == str(seed)
                and row["tune"] == "1.3"
            ):
                return float(row["130"])
    raise AssertionError(f"no published figure for {algorithm}, seed {seed}")


@pytest.mark.parametrize("seed", [42, 43, 44])
@pytest.mark.parametrize("algorithm", ["fgd", "best_fit"])
def test_the_final_allocation_lands_within_0_3_points_of_the_published_one(algorithm: str, seed: int) -> None:
    assert DATA.is_dir(), f"{DATA} is not there: docs/placement.md says how to get the trace; set ELIAS_DATA"
    result = replay(DATA, "default", seed, algorithm)
    assert result["decisions"] > 10_000
    assert result["allocation"] == pytest.approx(published(algorithm, seed), abs=0.3)


def test_the_ledger_of_a_replay_verifies_and_gives_the_same_decisions_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    result = replay(DATA, "default", 42, "fgd", ledger=url)
    store = Store.open(url, read_only=True)
    again = replay_ledger(store, points_of([Ufm]))
    assert again.identical
    assert again.decisions == result["decisions"]
    assert verify(store)
    store.close()
