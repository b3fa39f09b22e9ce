"""login, logout, accounts, tokens: who may come in, and as what."""

import typer

from managers.uim.cli.access import accounts, login, tokens


def add_to(parent: typer.Typer) -> None:
    login.add_to(parent)
    parent.add_typer(accounts.app, name="accounts")
    parent.add_typer(tokens.app, name="tokens")
