"""Commands of other packages."""

import os
import subprocess
import sys
from pathlib import Path


def test_commands_that_cannot_be_imported_are_missed_and_the_others_work(tmp_path: Path) -> None:
    package = tmp_path / "broken-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n", "utf-8")
    (package / "entry_points.txt").write_text("[elias.commands]\nbroken = not_there.at_all:app\n", "utf-8")
    command = [sys.executable, "-m", "managers.uim.cli", "--help"]
    known = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=known, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "the commands `broken` are missing: No module named 'not_there'" in done.stderr
    assert done.stdout
