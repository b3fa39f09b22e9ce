"""`elias tiki lsp`: specs in an editor, by the Language Server Protocol."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.errors import Refused
from managers.uim.cli.client import settings_of
from managers.uim.cli.output import say
from managers.uim.cli.specs.sources import points, read_text

if TYPE_CHECKING:
    import tiki


def lsp(
    context: typer.Context,
    points_file: Annotated[
        Path | None,
        typer.Option(
            "--points", metavar="FILE.json", help="Decision points to use instead of those that ship; a list of them."
        ),
    ] = None,
    specs: Annotated[
        Path | None, typer.Option(help="The folder whose specs belong together; by default that of the settings.")
    ] = None,
    overlay: Annotated[
        str | None, typer.Option(metavar="NAME", help="The overlay that is in force; by default that of the settings.")
    ] = None,
    tcp: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, metavar="PORT", help="Listen on this port of this machine, not on standard input."
        ),
    ] = None,
) -> None:
    """Serve an editor: findings as you type, completion, hover, rename, formatting, and examples that run.

    An editor starts this by itself; docs/tiki/editors.md says how to set up VS Code, Neovim and Helix.

    Examples:

        elias tiki lsp

        elias tiki lsp --specs my_specs --overlay production

        elias tiki schema ufm.placement --json > point.json && elias tiki lsp --points point.json
    """
    from tiki.editor.server import serve  # noqa: PLC0415 - the protocol's types take half a second

    settings = settings_of(context)
    known = points() if points_file is None else declared_in(points_file)
    if tcp is not None:
        say(f"listening on 127.0.0.1:{tcp}")
    serve(known, specs or settings.spec_folder, overlay or settings.overlay or None, tcp)


def declared_in(file: Path) -> "dict[str, tiki.Point]":
    """The points in a file: one or a list of them, as `elias tiki schema POINT --json` prints them."""
    from tiki.schema import Point  # noqa: PLC0415

    try:
        found = json.loads(read_text(file))
        every = found if isinstance(found, list) else [found]
        made = [Point.model_validate({key: one[key] for key in one if key in Point.model_fields}) for one in every]
    except (ValueError, TypeError) as error:  # what pydantic raises is a ValueError
        cure = "`elias tiki schema POINT --json` writes one"
        raise Refused("bad-points", str(error), place=str(file), cure=cure) from None
    return {point.name: point for point in made}
