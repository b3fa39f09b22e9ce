"""messages: what waits for targets, a test of one, and dead letters sent again."""

import getpass
import uuid
from typing import Annotated, Any
from urllib.parse import quote

import typer

from federation.errors import Refused
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.decide import line_of
from managers.uim.cli.output import Json, emit, say, table

app = typer.Typer(invoke_without_command=True)


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app, name="messages")


@app.callback()
def messages(context: typer.Context, json_: Json = False) -> None:
    """The `targets` of elias.yaml with what waits for each, and the dead letters.

    Examples:

        elias messages

        elias messages test pager

        elias messages resend 3f9a1c0b5d2e4f60718293a4b5c6d7e8
    """
    if context.invoked_subcommand is not None:
        return
    found = Api(settings_of(context)).get("/v1/managers/ucm")
    if json_:
        emit(found)
        return
    columns = ("name", "kind", "waiting", "in_flight", "delivered", "breaker")
    rows = [[t[column] for column in columns] for t in found["targets"]]
    heads = ("target", "kind", "waiting", "on its way", "delivered", "breaker")
    table(heads, rows, "no targets; docs/notifications.md shows how")
    if found["dead"]:
        print()
        columns = ("dead letter", "target", "subject", "priority", "attempts", "why")
        table(columns, map(_dead, found["dead"]), "")


def _dead(one: dict[str, Any]) -> list[str]:
    why = f"{one['failure']}, status {one['status']}" if one["status"] else one["failure"]
    return [one["id"], one["target"], one["subject"], one["priority"], str(one["attempts"]), why]


@app.command("test")
def send_test(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="A name below `targets` in elias.yaml.", show_default=False)],
    json_: Json = False,
) -> None:
    """Send a test message to a target, past quiet hours, and say what came of it.

    The exit code is 1 unless it was delivered.

    Examples:

        elias messages test team

        elias messages test team --json
    """
    found = Api(settings_of(context)).post(f"/v1/messages/targets/{quote(target, safe='')}/test", None)
    if json_:
        emit(found)
    else:
        print(f"{target}: {found['status']}" + (f" ({found['detail']})" if found["detail"] else ""))
    if found["status"] == "delivered":
        return
    say("it is tried again like every message; `elias messages` shows what waits and what was given up")
    raise typer.Exit(1)


@app.command()
def resend(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="A dead letter, as `elias messages` shows it.", show_default=False)] = "",
    all_: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
    target: Annotated[str, typer.Option(help="Every dead letter of this target.")] = "",
    json_: Json = False,
) -> None:
    """Send dead letters again, with a fresh count of attempts.

    Examples:

        elias messages resend 3f9a1c0b5d2e4f60718293a4b5c6d7e8

        elias messages resend --target pager
    """
    if [bool(id), all_, bool(target)].count(True) != 1:
        raise Refused("which", "say which dead letters", cure="name one, or write --target NAME, or --all")
    api = Api(settings_of(context))
    dead = api.get("/v1/managers/ucm")["dead"]
    chosen = [one for one in dead if all_ or one["id"] == id or one["target"] == target]
    if not chosen:
        if id:
            raise Refused("no-message", f"there is no dead letter `{id}`", cure="`elias messages` lists them")
        say("there are no such dead letters")
    decisions = [_resend(api, one) for one in chosen]
    if json_:
        emit({"decisions": decisions})
        return
    for decision in decisions:
        print(line_of(decision))


def _resend(api: Api, dead: dict[str, Any]) -> dict[str, Any]:
    event = {
        "specversion": "1.0",
        "id": uuid.uuid4().hex,
        "source": f"elias/cli/{getpass.getuser()}",
        "type": "elias.message.resend",
        "subject": dead["subject"],
        "data": {"message": dead["id"]},
    }
    (decision,) = api.post("/v1/events", event)["decisions"]
    found: dict[str, Any] = decision
    return found
