"""`elias tiki check`: what is wrong or doubtful in specs."""

import typer

from managers.uim.cli.output import Json, emit
from managers.uim.cli.specs.sources import Folder, points, sources


def check(context: typer.Context, path: Folder = None, json_: Json = False) -> None:
    """Find everything that is wrong or doubtful, with place, code and what to write instead. Exit code 1 for an error.

    Examples:

        elias tiki check

        elias tiki check my_specs --json
    """
    import tiki  # noqa: PLC0415 - the parser takes a quarter of a second

    texts, overlays = sources(context, path)
    found = tiki.check(texts, points(), overlays)
    wrong = [d for d in found if d.severity is tiki.Severity.ERROR]
    if json_:
        from dataclasses import asdict  # noqa: PLC0415

        emit([asdict(d) for d in found])
    else:
        for diagnostic in found:
            print(f"{diagnostic}\n")
        print(f"{len(texts)} files, {len(wrong)} errors, {len(found) - len(wrong)} warnings")
    if wrong:
        raise typer.Exit(1)
