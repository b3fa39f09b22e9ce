"""cases: what waits for a person, and the answer."""

from typing import Annotated

import typer

from federation.errors import Refused
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.decide import line_of
from managers.uim.cli.output import Json, arguments, emit, say, table, when

app = typer.Typer(help="Decisions that wait for a person.", invoke_without_command=True)


def add_to(parent: typer.Typer) -> None:
    parent.add_typer(app, name="cases")


@app.callback()
def cases(context: typer.Context, json_: Json = False) -> None:
    """What waits for a person: with the actions that may be chosen, and until when.

    Examples:

        elias cases

        elias cases answer 3f9a1c0b5d2e4f60718293a4b5c6d7e8 hold --words "the node is being repaired"
    """
    if context.invoked_subcommand is None:
        _list(context, json_)


@app.command("list")
def list_(context: typer.Context, json_: Json = False) -> None:
    """The same as `elias cases` alone."""
    _list(context, json_)


def _list(context: typer.Context, json_: bool) -> None:
    found = Api(settings_of(context)).get("/v1/cases")
    if json_:
        emit(found)
        return
    for name in found["away"]:
        say(f"{name} does not answer now; its cases are missing here")
    rows = [
        [
            c["id"],
            c["point"],
            c["subject"],
            c["reason"],
            ", ".join(arguments(o["action"], o["args"]) for o in c["options"]),
            when(c["until"]),
        ]
        for c in found["cases"]
    ]
    table(("case", "point", "subject", "why", "answer with", "until"), rows, "nothing waits for you")


@app.command()
def answer(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="The case, as `elias cases` shows it.")],
    action: Annotated[str, typer.Argument(help="One of the actions that it offers.")],
    arg: Annotated[
        list[str] | None, typer.Option("--arg", "-a", help="NAME=VALUE, where an action is offered more than once.")
    ] = None,
    words: Annotated[str, typer.Option("--words", "-w", help="Why, for the record.")] = "",
    json_: Json = False,
) -> None:
    """Answer a case. It is checked again: where it no longer holds, the case is asked anew.

    Examples:

        elias cases answer ID approve

        elias cases answer ID place --arg node=gpu-3 --words "it has the data"
    """
    api = Api(settings_of(context))
    given = dict(_pair(text) for text in arg or ())
    open_ = {case["id"]: case["options"] for case in api.get("/v1/cases")["cases"]}
    args = _offered(action, given, open_.get(id, []))
    body = {"action": action, "args": args, "words": words}
    found = api.post(f"/v1/cases/{id}/answer", body)
    if json_:
        emit(found)
        return
    for decision in found["decisions"]:
        print(line_of(decision))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise Refused("bad-arg", f"`{text}` is not NAME=VALUE", place="--arg", cure="write --arg node=n1")
    return name, value


def _offered(action: str, given: dict[str, str], options: list[dict[str, object]]) -> dict[str, object]:
    """The arguments of the option that was meant, with their types; Refused where several may be."""
    mine = [o["args"] for o in options if o["action"] == action]
    matching = [a for a in mine if isinstance(a, dict) and all(str(a.get(k)) == v for k, v in given.items())]
    if len(matching) > 1:
        choices = "; ".join(", ".join(f"{k}={v}" for k, v in a.items()) for a in matching)
        raise Refused("ambiguous", f"`{action}` is offered more than once", place="--arg", cure=f"say which: {choices}")
    return dict(matching[0]) if matching else dict(given)
