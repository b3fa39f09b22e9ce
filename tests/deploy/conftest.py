import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .chart import CASES, objects, templates
from .commands import DEPLOY


@pytest.fixture(scope="session")
def rendered() -> dict[str, list[dict[str, Any]]]:
    """The objects that the chart makes, in each case."""
    return {name: objects(templates(values)) for name, values in CASES.items()}


@pytest.fixture
def composed(tmp_path: Path) -> Path:
    """The folder of compose as whoever starts it has it, with its secrets made."""
    folder = shutil.copytree(DEPLOY, tmp_path / "deploy") / "compose"
    subprocess.run([folder / "secrets.sh"], check=True, capture_output=True)
    for name in ("machine.yaml", "cluster.join"):
        (folder / "secrets" / name).touch()
    return folder
