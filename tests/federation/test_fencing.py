"""SIGSTOP between commit and effect, takeover, SIGCONT: the old one neither appends nor acts."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from federation.ledger.store import Store
from federation.ledger.verify import verify
from federation.records import Kind

REPOSITORY = Path(__file__).resolve().parents[2]

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A process in charge of this folder: `python -m tests.federation.charge`."""
    started: list[subprocess.Popen[str]] = []

    def run(name: str, *stops: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.federation.charge", str(tmp_path), name, *stops]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def lines(process: "subprocess.Popen[str]", last: str) -> list[str]:
    """What it says up to a line that begins with `last`."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line.strip())
        if line.startswith(last):
            return said
    raise AssertionError(f"it ended without `{last}`: {said}")


def acts(folder: Path) -> list[str]:
    """Who acted, in order."""
    diary = folder / "diary"
    return diary.read_text().split() if diary.exists() else []


def stopped(process: "subprocess.Popen[str]") -> None:
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


def test_in_charge_and_undisturbed_it_acts(start: Start, tmp_path: Path) -> None:
    assert lines(start("old"), "outcome")[-1] == "outcome done"
    assert acts(tmp_path) == ["old"]


@pytest.mark.parametrize("greeted", ["greeted", "unheard"])
def test_paused_between_commit_and_effect_it_neither_acts_nor_appends_after_a_takeover(
    start: Start, tmp_path: Path, greeted: str
) -> None:
    """unheard: the executor hears of the new one only by its first order, as when a node was out of reach."""
    old = start("old", "stop")
    lines(old, "released")
    stopped(old)

    new = start("new", greeted)
    assert lines(new, "outcome")[-1] == "outcome done"
    assert acts(tmp_path) == ["new"]

    os.kill(old.pid, signal.SIGCONT)
    said = lines(old, "append")
    assert said == ["outcome refused: epoch 1.1 is no longer in charge", "append fenced"]
    assert acts(tmp_path) == ["new"]

    store = Store.open(str(tmp_path / "ledger.db"), read_only=True)
    assert verify(store)
    epochs = {r.header.epoch for r in store.read(kinds=[Kind.EPOCH])}
    assert epochs == {1, 2}
    assert next(iter(store.latest(1))).header.epoch == 2
    store.close()
