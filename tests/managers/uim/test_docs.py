"""The pages for readers name what there is, and nothing that there is not."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from managers.uim.api import envelope
from managers.uim.cli.app import app

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def test_the_page_of_the_api_names_every_request(client: httpx.Client) -> None:
    paths = client.get("/v1/openapi.json").json()["paths"]
    there = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    told = set(re.findall(r"`((?:GET|PUT|POST|PATCH|DELETE) /[^`]*)`", (DOCS / "api.md").read_text()))
    assert told == there


@pytest.mark.parametrize("code", sorted(envelope.STATUS))
def test_the_page_of_the_api_names_the_codes_of_errors(code: str) -> None:
    (line,) = [row for row in (DOCS / "api.md").read_text().splitlines() if row.startswith("| ") and f"`{code}`" in row]
    assert line.startswith(f"| {envelope.STATUS[code]} ")


def _commands(command: Any, path: str) -> list[str]:
    below = getattr(command, "commands", {})
    return [p for name, one in below.items() for p in _commands(one, f"{path} {name}")] if below else [path]


def test_the_page_of_the_command_line_names_every_command() -> None:
    told = re.findall(r"`(elias [a-z]+(?:[ -][a-z]+)*)", (DOCS / "cli.md").read_text())
    there = _commands(typer.main.get_command(app), "elias")
    assert [name for name in there if not any(t == name or t.startswith(f"{name} ") for t in told)] == []
    groups = {"elias", *(name.rpartition(" ")[0] for name in there)}
    assert [t for t in told if not any(t.startswith(name) for name in (*there, *groups - {"elias"}))] == []


def _told(page: Path) -> Iterator[str]:
    """The commands of ELIAS on a page: the lines of its code blocks, and what stands in backticks."""
    block = False
    for line in page.read_text().splitlines():
        if line.lstrip().startswith("```"):
            block = not block
        elif block and line.strip().startswith("elias "):
            yield line.strip()
        elif not block:
            yield from re.findall(r"`(elias [^`]+)`", line)


def _examples(command: Any) -> Iterator[str]:
    """The examples in the help of a command and of those below it."""
    yield from re.findall(r"^\s*(elias .+)$", command.help or "", re.MULTILINE)
    for one in getattr(command, "commands", {}).values():
        yield from _examples(one)


def _wrong(command: Any, line: str) -> str:
    """What a command line names that `elias` does not know; empty: nothing."""
    _, *words = shlex.split(re.split(r" (?:\||>|<<|#|&&) ?|\.\.\.", line)[0].rstrip("\\& "))
    while words:
        word, options = words.pop(0), {name: one for one in command.params for name in one.opts}
        if word == "--":
            return ""
        if word.startswith("--") or re.fullmatch("-[a-z]", word):
            name, _, value = word.partition("=")
            if name not in options and name != "--help":
                return f"`{command.name}` has no {name}"
            if name in options and not options[name].is_flag and not value:
                words = words[1:]
        elif getattr(command, "commands", {}):
            if word not in command.commands:
                return "" if word.isupper() else f"`{command.name}` has no {word}"
            command = command.commands[word]
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_on_a_page_exists_with_its_options(page: Path) -> None:
    elias = typer.main.get_command(app)
    assert {line: wrong for line in _told(page) if (wrong := _wrong(elias, line))} == {}


def test_every_example_in_the_help_exists_with_its_options() -> None:
    elias = typer.main.get_command(app)
    examples = list(_examples(elias))
    assert len(examples) > 100
    assert {line: wrong for line in examples if (wrong := _wrong(elias, line))} == {}


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("elias cases --json | jq .", ""),
        ("elias ledger verfy", "`ledger` has no verfy"),
        ("elias policy promote abcdef --pint uam.restart", "`promote` has no --pint"),
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line: str, wrong: str) -> None:
    assert _wrong(typer.main.get_command(app), line) == wrong
