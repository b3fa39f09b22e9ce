"""Ending what runs for a state folder."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from federation.settings import Settings
from managers.uim import launch


@pytest.fixture
def orphan() -> Iterator[psutil.Process]:
    """A process that ends on SIGTERM, and whose parent takes no note of it."""
    command = "sleep 600 & echo $!; exec sleep 600"
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        yield psutil.Process(int(parent.stdout.readline()))
        parent.kill()


def test_a_process_that_has_ended_and_that_nobody_has_taken_note_of_is_down(
    tmp_path: Path, orphan: psutil.Process
) -> None:
    settings, said = Settings(state=tmp_path), list[str]()
    launch.keeper(settings).write_text(f"{orphan.pid} {orphan.create_time()!r}")
    assert launch.running(settings) == orphan.pid
    assert launch.down(settings, said.append)
    assert orphan.status() == psutil.STATUS_ZOMBIE
    assert launch.running(settings) is None
    assert not launch.down(settings, said.append)
    assert said == [f"draining (process {orphan.pid})"]
