"""`elias tiki new`: a first spec for a decision point, with its tests."""

from pathlib import Path
from typing import Annotated

import typer

from federation.errors import Refused
from managers.uim.cli.specs.sources import known, points


def new(
    point: Annotated[str, typer.Argument(metavar="MANAGER.POINT", help="A decision point; `elias tiki schema` lists.")],
    into: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the two files go.")] = Path(),
) -> None:
    """Begin a spec: a rule, examples and a scenario that pass as they stand, with all that the point knows beside them.
    Files that exist are left alone.

    Examples:

        elias tiki new urm.resource_pressure --into my_specs

        elias tiki test my_specs --coverage
    """
    import tiki  # noqa: PLC0415 - the parser takes a quarter of a second
    from tiki import testing  # noqa: PLC0415

    declared = points()
    made = testing.scaffold(known(point, declared))
    files = {into / f"{made.name}.tiki": made.spec, into / f"{made.name}_test.tiki": made.tests}
    for file in files:
        if file.exists():
            cure = "name another folder with --into, or move it away"
            raise Refused("exists", f"{file} is there already", place=str(file), cure=cure)
    try:
        there = tiki.read_directory(into) if into.is_dir() else []
        tiki.build([*there, tiki.Source(f"{made.name}.tiki", made.spec)], declared)
    except tiki.Invalid as error:
        cure = "correct what stands there, or name another folder with --into"
        raise Refused("tiki", f"it does not go with the specs in {into}: {error}", cure=cure) from None
    try:
        into.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            with file.open("x", encoding="utf-8") as written:
                written.write(text)
            print(file)
    except OSError as error:
        cure = "see who may write there"
        raise Refused("unwritable", error.strerror or str(error), place=str(into), cure=cure) from None
