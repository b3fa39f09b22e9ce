"""What the commands on cases have in common: arguments, and pages of rows."""

from typing import Annotated, Any

import typer

from managers.uim.cli.client import Api

PAGE = 500

Id = Annotated[str, typer.Argument(help="A case or its group, as `elias cases` shows it.", show_default=False)]
Words = Annotated[str, typer.Option("--words", "-w", help="Why, for the record.")]


def pages(api: Api, path: str, name: str, limit: int, **wanted: str) -> tuple[list[dict[str, Any]], bool]:
    """Rows of all pages up to a limit, and whether there are more."""
    rows: list[dict[str, Any]] = []
    after = ""
    while len(rows) < limit:
        found = api.get(path, after=after, limit=min(PAGE, limit - len(rows)), **wanted)
        rows += found[name]
        after = found["next"]
        if not after:
            break
    return rows, bool(after)
