"""policy: what scores the decisions that a spec leaves open."""

import typer

from managers.uim.cli.policy.assess import assess
from managers.uim.cli.policy.plan import plan
from managers.uim.cli.policy.registry import promote, register, rollback, show, sign
from managers.uim.cli.policy.serve import serve

app = typer.Typer(
    help="What scores the decisions that a spec leaves open: what fits your cards, serving it, and trying a new one.",
    no_args_is_help=True,
)
app.command()(plan)
app.command()(serve)
app.command("list")(show)
for command in (register, promote, rollback, assess, sign):
    app.command()(command)


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app, name="policy")
