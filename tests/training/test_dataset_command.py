"""elias train dataset."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from federation.errors import Refused
from managers.uim.cli.app import app
from training.dataset import store
from training.world.answerers import Skilled
from training.world.chances import DEMO, MINUTE
from training.world.local import Run
from training.world.world import World


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["train", "dataset", *arguments])


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a simulated cluster, some minutes old."""
    folder = tmp_path_factory.mktemp("world")

    async def live() -> None:
        advisor, person = Skilled("advisor", 0.85, 20.0, 0.05), Skilled("person", 0.97, 600.0)
        async with Run(World(5, 10, DEMO), folder, advisor, person) as made:
            await made.go_on(12 * MINUTE)

    asyncio.run(live())
    return str(folder / "ledger.db")


def test_a_ledger_becomes_a_folder_that_verifies_and_says_what_it_is_made_of(ledger: str, tmp_path: Path) -> None:
    made = run("--ledger", ledger, "--out", str(tmp_path / "sets"))
    assert made.exit_code == 0, made.exception
    folder = Path(made.stdout.splitlines()[-1])
    data = store.load(folder)
    assert data.train
    assert {example.tier for example in data.train} <= {"policy", "advisor", "operator"}
    assert sum(of.get("a rule answered", 0) for of in data.recipe.left_out.values()) > len(data.train)
    for word in ("train", "validation", "test", *data.recipe.quality):
        assert word in made.stdout
    text = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"n01" not in text  # a node
    assert b"as it looks now" not in text  # what those who answer say


def test_as_json_it_is_one_document_and_the_same_every_time(ledger: str, tmp_path: Path) -> None:
    one, two = (json.loads(run("--ledger", ledger, "--out", str(tmp_path / name), "--json").stdout) for name in "ab")
    assert one["digest"] == two["digest"] == Path(one["folder"]).name
    assert one["quality"].keys() == one["points"].keys()


def test_points_and_times_narrow_it_down(ledger: str, tmp_path: Path) -> None:
    every = json.loads(run("--ledger", ledger, "--out", str(tmp_path), "--json").stdout)
    (name, *_) = every["points"]
    one = json.loads(run("--ledger", ledger, "--out", str(tmp_path), "--json", "--points", name).stdout)
    assert list(one["points"]) == [name]
    assert one["quality"][name] == every["quality"][name]
    refused = run("--ledger", ledger, "--out", str(tmp_path), "--until", "2001-01-01")
    assert isinstance(refused.exception, Refused)
    assert refused.exception.code == "dataset.empty"


def test_a_sample_is_marked_and_read_back(ledger: str, tmp_path: Path) -> None:
    made = json.loads(run("--ledger", ledger, "--out", str(tmp_path), "--sample", "5", "--json").stdout)
    page = Path(made["sample"])
    page.write_text(page.read_text().replace("- [ ] right", "- [x] right", 4))
    assert json.loads(run("--marks", str(page), "--json").stdout) == {
        "right": 4,
        "wrong": 0,
        "open": 1,
        "share": 1.0,
        "interval": [pytest.approx(0.51, abs=0.01), pytest.approx(1.0)],
    }
    assert "100.0% right (4 of 4)" in run("--marks", str(page)).stdout


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (["--ledger", "/nowhere/ledger.db"], "path"),
        (["--points", "no.point"], "ufm.dispatch"),
        (["--since", "yesterday"], "2026-03-01"),
        (["--changed", "uam.restart"], "uam.restart=2026-03-01"),
        (["--changed", "uam.restart="], "uam.restart=2026-03-01"),
        (["--changed", "uam.restart=yesterday"], "2026-03-01"),
        (["--upto", "1"], "elias demo"),
        (["--marks", "/nowhere/page.md"], "--sample"),
        (["--out", "/dev/null/sets"], "another folder"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_cure(
    ledger: str, tmp_path: Path, arguments: list[str], cure: str
) -> None:
    refused = run("--ledger", ledger, "--out", str(tmp_path), *arguments).exception
    assert isinstance(refused, Refused)
    assert cure in refused.cure
