"""What the fuzzer found stays found, what it begins with holds, and it works: a short cut of `make fuzz`."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import FINDINGS
from tests.fuzz.limit import cpu_limit
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

FOUND = sorted(path for path in FINDINGS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", FOUND, ids=[f"{path.parent.name}-{path.name}" for path in FOUND])
def test_what_was_found_once_holds_now(path: Path) -> None:
    with cpu_limit():
        TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_what_the_fuzzer_begins_with_holds(target: str) -> None:
    for raw in seeds(target):
        with cpu_limit():
            TARGETS[target](raw)


@pytest.mark.parametrize(
    ("target", "runs"), [("spec", 2000), ("scenarios", 2000), ("bundle", 10_000), ("editor", 1000)]
)
def test_some_thousand_inputs_of_the_fuzzer_break_nothing(target: str, runs: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--runs", str(runs), "--findings", str(tmp_path), target]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    found = [f"{path}: {path.read_bytes()!r}" for path in tmp_path.glob("*/*")]
    assert (done.returncode, found) == (0, []), done.stdout + done.stderr
