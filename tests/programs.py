"""Programs that the tests start beside ELIAS."""

import shutil
from pathlib import Path

import pytest

CURE = "`make programs` installs it"


def program(name: str) -> str:
    """Its path."""
    if (found := shutil.which(name)) is None:
        pytest.fail(f"there is no {name} here: {CURE}")
    return found


def postgres() -> Path:
    """The folder of the newest PostgreSQL's programs, which Debian keeps out of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.fail(f"there is no PostgreSQL here: {CURE}")
    return found[-1].parent
