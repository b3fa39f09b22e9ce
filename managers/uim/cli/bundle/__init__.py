"""bundle: rules as files that are built, signed, verified, put in force, and taken back."""

import typer

from managers.uim.cli.bundle.file import build, diff, keygen, show, sign, unpack, verify
from managers.uim.cli.bundle.in_force import activate, history, rollback

app = typer.Typer(
    help="Rules as files: build, sign, verify, put in force, take back. docs/tiki/bundles.md says who may.",
    no_args_is_help=True,
)
for command in (build, keygen, sign, verify, show, diff, unpack, activate, rollback, history):
    app.command()(command)


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app, name="bundle")
