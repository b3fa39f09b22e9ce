"""`elias tiki fmt`: specs in their standard form."""

from pathlib import Path
from typing import Annotated

import typer

from federation.errors import Refused
from managers.uim.cli.specs.sources import files, read_text


def format_(
    paths: Annotated[list[Path], typer.Argument(help="Files; folders are searched for `.tiki` files.")],
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 if something would change.")
    ] = False,
) -> None:
    """Write specs in their standard form. Prose, comments and the ends of lines stay as they are.

    Examples:

        elias tiki fmt tiki_specs

        elias tiki fmt --check my.tiki
    """
    import tiki  # noqa: PLC0415

    changed = 0
    for path in files(paths):
        before = read_text(path, newline="")
        try:
            after = tiki.format_text(before, str(path))
        except tiki.Invalid as error:
            raise Refused(
                "tiki", str(error), place=str(path), cure="correct it first; `elias tiki check` explains"
            ) from None
        if str(path) == "-" and not check:
            print(after, end="")
        elif after != before:
            changed += 1
            print(f"{'would change' if check else 'changed'}: {path}")
            if not check:
                path.write_bytes(after.encode("utf-8"))
    if check and changed:
        raise typer.Exit(1)
