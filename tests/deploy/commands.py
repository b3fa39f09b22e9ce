"""Commands of ELIAS as files that ship name them, read by the parser of the real command line."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from managers.uim.cli.app import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CONTAINER = DEPLOY / "containers" / "elias-container"


def parsed(*words: str) -> tuple[str, dict[str, Any]]:
    """The command that these words of `elias` name, and its arguments. Raises what the parser says."""
    command: Any = typer.main.get_command(app)
    context, rest, names = None, list(words), list[str]()
    while True:
        context = command.make_context(command.name, rest, parent=context)
        if not hasattr(command, "commands"):
            return " ".join(names), context.params
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        names.append(name)


def started(folder: Path, *words: str, enrolled: bool = False, invitation: str = "{}") -> list[str]:
    """The words of `elias` that a container with these arguments starts. folder: an empty one."""
    state, secret = folder / "state", folder / "mounted"
    state.mkdir()
    if enrolled:
        (state / "ray.token").touch()
    secret.write_text(invitation)
    secret.chmod(0o440)  # as a mounted one is
    told = folder / "elias"
    told.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    told.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "TMPDIR": str(folder),
        "ELIAS_INVITATION": str(secret),
        "ELIAS_CONTAINER_STATE": str(state),
        "RAY_ADDRESS": "elsewhere:6379",
    }
    ran = subprocess.run([CONTAINER, *words], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def every(found: Any, key: str) -> Iterator[Any]:
    """What stands under this key, however deep in mappings and lists."""
    if isinstance(found, dict):
        for name, inner in found.items():
            if name == key:
                yield inner
            yield from every(inner, key)
    elif isinstance(found, list):
        for inner in found:
            yield from every(inner, key)
