"""What a user types, and what comes in."""

import subprocess
from typing import Any

from benchmarks.running import Running


def cli(elias: Running, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*elias.command, *arguments], cwd=elias.folder, check=check, capture_output=True, text=True, timeout=120
    )


def sample(id: str, subject: str = "probe", **figures: Any) -> dict[str, Any]:
    data = {"memory": 35.0, "cpu": 20.0, "gpu": None, "disk": 40.0} | figures
    return {
        "specversion": "1.0",
        "id": id,
        "source": "test",
        "type": "elias.resource.sample",
        "subject": subject,
        "data": data,
    }
