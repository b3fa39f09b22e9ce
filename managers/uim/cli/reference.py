"""The commands as a table for docs/cli.md, made from the commands themselves.

`python -m managers.uim.cli.reference docs/cli.md` writes it anew between its two marks.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from managers.uim.cli.app import app

BEGIN, END = "<!-- commands: begin -->\n", "<!-- commands: end -->\n"


def table() -> str:
    """Every command with its arguments and the first sentence of its help."""
    rows = [f"| `{_cell(usage)}` | {_cell(says)} |" for usage, says in _commands(typer.main.get_command(app), "elias")]
    return "\n".join(["| command | |", "| --- | --- |", *rows]) + "\n"


def written(page: str) -> str:
    """The page with the table of now between the marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


def _commands(command: Any, path: str) -> Iterator[tuple[str, str]]:
    below = getattr(command, "commands", {})
    if not below or getattr(command, "invoke_without_command", False):
        words = [_argument(one) for one in command.params if one.param_type_name == "argument"]
        yield " ".join([path, *words]), _sentence(command.help or "")
    for name, one in below.items():
        yield from _commands(one, f"{path} {name}")


def _argument(one: Any) -> str:
    name = (one.metavar or one.name.rstrip("_").upper()).strip("[]") + ("..." if one.nargs == -1 else "")
    return name if one.required else f"[{name}]"


def _sentence(text: str) -> str:
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    first, stop, _ = paragraph.partition(". ")
    return (first + stop).strip().rstrip(".")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
