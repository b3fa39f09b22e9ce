"""cases: what waits for a person, who has it, the answers, and the data set that they make."""

import typer

from managers.uim.cli.cases.answers import answer, approve, bulk, override
from managers.uim.cli.cases.claims import ack, assign, comment, delegate, release, snooze
from managers.uim.cli.cases.data import export
from managers.uim.cli.cases.looking import list_, on_call, show
from managers.uim.cli.output import Json

app = typer.Typer(help="Decisions that wait for a person: docs/cases.md.", invoke_without_command=True)
app.command("list")(list_)
for command in (show, ack, release, assign, delegate, snooze, comment, answer, approve, override, bulk, export):
    app.command()(command)
app.command("on-call")(on_call)


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app, name="cases")


@app.callback()
def cases(context: typer.Context, json_: Json = False) -> None:
    """What waits for a person: groups of alike cases, the most urgent first.

    Examples:

        elias cases

        elias cases answer 3f9a1c0b5d2e4f60718293a4b5c6d7e8 hold --words "the node is being repaired"
    """
    if context.invoked_subcommand is None:
        list_(context, json_=json_)
