"""`elias tiki docs`: a bundle as one page for readers."""

from pathlib import Path
from typing import Annotated

import typer

from federation.errors import Refused
from managers.uim.cli.output import say
from managers.uim.cli.specs.sources import Folder, Overlay, bundle_of


def docs(
    context: typer.Context,
    path: Folder = None,
    overlay: Overlay = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="FILE.html or FILE.md; `-` is Markdown on standard output.")
    ] = Path("-"),
    title: Annotated[str, typer.Option(help="At the head of the page.")] = "Specs in force",
) -> None:
    """Specs as one page: what each point decides, its rules in words, guards, settings and where they come from, and
    examples with their results, each with its line. The HTML page needs no network and prints well.

    Examples:

        elias tiki docs -o specs.html

        elias tiki docs my_specs -o specs.md --title "Rules of the lab"
    """
    from tiki import docs as pages  # noqa: PLC0415 - the language takes a quarter of a second

    if output.suffix not in (".html", ".md") and str(output) != "-":
        raise Refused("bad-suffix", "the page is HTML or Markdown", place=str(output), cure="name FILE.html or FILE.md")
    bundle = bundle_of(context, path, overlay)
    text = pages.html(bundle, title) if output.suffix == ".html" else pages.markdown(bundle, title)
    if str(output) == "-":
        print(text, end="")
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refused("unwritable", error.strerror or str(error), place=str(output), cure="check the folder") from None
    say(f"{output}: {len(pages.pages(bundle))} decision points")
