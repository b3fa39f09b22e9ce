"""train: what the policy is trained on, and how, one file a command."""

import typer

from training.cli import learn
from training.cli.again import again
from training.cli.data import data
from training.cli.dataset import dataset
from training.cli.policy import policy

app = typer.Typer(help="Make the policy: its data, its training.", no_args_is_help=True)
app.command()(data)
app.command()(dataset)
app.command()(policy)
learn.add_to(app)
app.command()(again)


@app.callback()
def group() -> None:
    """Make the policy: its data, its training."""
