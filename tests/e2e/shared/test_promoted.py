"""A policy that somebody trained comes into a running ELIAS, answers, and goes again by one word."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.running import Running
from tests.e2e.asking import cli
from tests.e2e.shared.test_policy import POINT, event
from tests.e2e.waiting import until
from tests.policy.shelf import like_shipped
from training.scenarios.generate import generate


@pytest.fixture(scope="module")
def version(elias: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Registered, and gone from the point at the end."""
    folder = like_shipped(tmp_path_factory.mktemp("trained"), 3)
    told = json.loads(cli(elias, "policy", "register", str(folder), "--json").stdout)
    yield told["policy"]
    while where(elias)["champion"] or where(elias)["trial"]:
        cli(elias, "policy", "rollback", "--point", POINT)


def where(elias: Running) -> dict[str, Any]:
    """How the point stands."""
    none = {"champion": "", "trial": None}
    return next((one for one in elias.get("/v1/policies")[1]["points"] if one["point"] == POINT), none)


def opinions(elias: Running, name: str, count: int = 12) -> list[dict[str, Any]]:
    """Who scored new questions."""
    examples = generate(POINT, "test", count, completions=1)
    events = [event(example, f"{name}-{number}") for number, example in enumerate(examples)]
    status, answer = elias.request("POST", "/v1/events", events)
    assert status == 200
    decided = [decision for result in answer["results"] for decision in result["decisions"]]
    return [elias.get(f"/v1/decisions/{decision['id']}/explain")[1]["opinion"] for decision in decided]


def test_in_the_shadow_the_champion_answers_and_the_challenger_is_heard(elias: Running, version: str) -> None:
    cli(elias, "policy", "promote", version[:12], "--point", POINT)
    assert {one["engine"] for one in opinions(elias, "shadowed", 4)} == {"embedded"}
    until(lambda: where(elias)["trial"]["shadowed"] >= 4)
    trial = where(elias)["trial"]
    assert (trial["stage"], trial["challenger"]) == ("shadow", version)
    assert trial["agreed"] == trial["shadowed"], "they are the same network"


def test_by_one_word_it_is_the_champion_and_by_one_it_is_not(elias: Running, version: str) -> None:
    told = json.loads(cli(elias, "policy", "promote", version, "--point", POINT, "--champion", "--json").stdout)
    assert told["champion"] == version
    said = opinions(elias, "promoted", 4)
    assert {(one["policy"], one["engine"]) for one in said} == {(version, "store")}
    told = json.loads(cli(elias, "policy", "rollback", "--point", POINT, "--json").stdout)
    assert (told["champion"], told["stage"]) == ("", "")
    assert {one["engine"] for one in opinions(elias, "gone", 4)} == {"embedded"}


def aliases(elias: Running) -> list[str]:
    """Of the copy in MLflow."""
    kept = elias.state / "mlflow" / "mlflow.db"
    if not kept.exists():
        return []
    with contextlib.closing(sqlite3.connect(kept)) as database, contextlib.suppress(sqlite3.OperationalError):
        return [alias for (alias,) in database.execute("select alias from registered_model_aliases")]
    return []  # its tables are being made


def test_mlflow_follows_there_and_back(elias: Running, version: str) -> None:
    cli(elias, "policy", "promote", version, "--point", POINT, "--champion")
    wanted = f"champion-{POINT.replace('.', '-')}"
    until(lambda: aliases(elias) == [wanted])  # behind everything else, and it imports for seconds
    cli(elias, "policy", "rollback", "--point", POINT)
    until(lambda: aliases(elias) == [])


def test_nobody_is_promoted_who_was_not_registered(elias: Running, tmp_path: Path) -> None:
    refused = cli(elias, "policy", "promote", "abcdef", "--point", POINT, check=False)
    assert refused.returncode == 1
    assert "no policy is registered that begins with `abcdef`" in refused.stderr
    refused = cli(elias, "policy", "register", str(tmp_path), check=False)
    assert "there is no policy" in refused.stderr
