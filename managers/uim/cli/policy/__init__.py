"""policy: what scores the decisions that a spec leaves open."""

import typer

from managers.uim.cli.policy.plan import plan
from managers.uim.cli.policy.serve import serve

app = typer.Typer(
    help="What scores the decisions that a spec leaves open: what fits your cards, and serving it.",
    no_args_is_help=True,
)
app.command()(plan)
app.command()(serve)


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app, name="policy")
