"""The pages for readers name what there is, and nothing that there is not."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from managers.uim.api import envelope
from managers.uim.cli.app import app

DOCS = Path(__file__).parents[3] / "docs"


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
