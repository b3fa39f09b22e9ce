"""ledger: the log itself, read directly: all of this works with everything down."""

import typer

from managers.uim.cli.ledger.checking import replay, rescore, verify
from managers.uim.cli.ledger.keeping import backup, restore
from managers.uim.cli.ledger.looking import export, tail

app = typer.Typer(
    help="The log of everything: look, verify, export, replay, back up. Works with everything down.",
    no_args_is_help=True,
)
for command in (tail, verify, export, replay, rescore, backup, restore):
    app.command()(command)


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app, name="ledger")
