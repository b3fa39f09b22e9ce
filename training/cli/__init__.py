"""train: what the policy is trained on, and how, one file a command."""

import typer

from training.cli.data import data

app = typer.Typer(help="Make the policy: its data, its training.", no_args_is_help=True)
app.command()(data)


@app.callback()
def group() -> None:
    """Make the policy: its data, its training."""
