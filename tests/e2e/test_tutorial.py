"""The tutorial, done: every file on the page is written, every command run, and what it prints compared.

In a block of the kind `console`, `$` stands before a command and what follows is its output; `...` alone stands for any
lines, within a line for anything, and `[exit code N]` for an exit code other than 0. A block with a path behind its
kind is a file. The one thing that is changed is the port, for others may have an ELIAS of their own here.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.ports import free_port

PAGE = Path(__file__).parents[2] / "docs" / "tiki" / "tutorial.md"
_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Command(NamedTuple):
    """A command with what the page shows of its output."""

    text: str
    shown: str


class File(NamedTuple):
    path: str
    text: str


def steps(page: str) -> Iterator[Command | File]:
    for kind, path, text in _BLOCK.findall(page):
        if path:
            yield File(path, text)
        elif kind == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, shown = part.partition("\n")
                yield Command(command, shown.rstrip("\n"))


def pattern(shown: str) -> str:
    """What is shown as a regular expression."""
    lines = [
        r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(re.escape("..."), ".*") + "\n"
        for line in shown.splitlines()
    ]
    return "".join(lines)


class Newcomer:
    """Somebody who does what the page says, in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        commands = Path(sys.executable).parent
        self.environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "COLUMNS": "120"}

    def run(self, command: str) -> str:
        """The output of both kinds as a terminal shows it, with the exit code where it is not 0."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
        )
        return done.stdout + (f"[exit code {done.returncode}]\n" if done.returncode else "")

    def write(self, file: File) -> None:
        path = self.folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        port = f"listen:\n  port: {free_port()}\n" if path.name == "elias.yaml" else ""
        path.write_text(file.text + port)


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    made = Newcomer(tmp_path)
    yield made
    if (tmp_path / ".elias").exists():
        made.run("elias down")


@pytest.mark.timeout(600)
def test_everything_on_the_page_comes_out_as_it_says(newcomer: Newcomer) -> None:
    done = 0
    for step in steps(PAGE.read_text()):
        if isinstance(step, File):
            newcomer.write(step)
            continue
        said = newcomer.run(step.text)
        assert re.fullmatch(pattern(step.shown), said), f"$ {step.text}\n{said}\n-- the page says --\n{step.shown}"
        done += 1
    assert done > 25


@pytest.mark.parametrize(
    ("shown", "said", "fits"),
    [
        ("a\nb", "a\nb\n", True),
        ("a\n...", "a\nb\nc\n", True),
        ("...\nc", "a\nb\nc\n", True),
        ("a ... c", "a b c\n", True),
        ("", "", True),
        ("", "an error\n", False),
        ("a\nb", "a\nc\n", False),
        ("a", "a\nb\n", False),
        ("a ... c", "a b d\n", False),
    ],
)
def test_the_comparison_would_notice(shown: str, said: str, fits: bool) -> None:
    assert bool(re.fullmatch(pattern(shown), said)) == fits


def test_the_commands_about_specs_in_the_readme_run_as_they_stand(newcomer: Newcomer) -> None:
    """All but the one that looks at a ledger, which a newcomer does not have yet: it says so."""
    lines = [
        line for line in (PAGE.parents[2] / "README.md").read_text().splitlines() if line.startswith("elias tiki ")
    ]
    assert len(lines) > 5
    (newcomer.folder / "tiki_specs").symlink_to(PAGE.parents[2] / "tiki_specs")
    for line in lines:
        said = newcomer.run(f"{line} < /dev/null")
        assert ("[exit code" in said) == ("latest" in line), said
        assert "latest" not in line or "there is no ledger here" in said
