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
    """Write specs in their standard form. Prose and comments stay as they are.

    Examples:

        elias tiki fmt tiki_specs

        elias tiki fmt --check my.tiki
    """
    import tiki  # noqa: PLC0415

    changed = 0
    for path in files(paths):
        before = read_text(path)
        try:
            after = tiki.format_text(before, str(path))
        except tiki.Invalid as error:
            raise Refused(
                "tiki", str(error), place=str(path), cure="correct it first; `elias tiki check` explains"
            ) from None
        if after != before:
            changed += 1
            print(f"{'would change' if check else 'changed'}: {path}")
            if not check:
                path.write_text(after, encoding="utf-8")
    if check and changed:
        raise typer.Exit(1)
