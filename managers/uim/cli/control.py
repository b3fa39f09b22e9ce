"""freeze, unfreeze, mode: how far ELIAS may go."""

import getpass
from typing import Annotated

import typer

from federation.errors import Refused, Temporary
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.output import Json, emit, say, table

FOLLOWS = "the ledger takes no record now, it follows"


def add_to(app: typer.Typer) -> None:
    app.command()(freeze)
    app.command()(unfreeze)
    app.command()(mode)


def freeze(
    context: typer.Context, reason: Annotated[str, typer.Argument(help="Why, for the record.")] = "by hand"
) -> None:
    """Stop every effect at once, on this node even with everything else down.

    Decisions go on and are recorded; none of them acts. Exit code 3 when the other nodes could not be told: this one is
    frozen all the same.

    Example:

        elias freeze "the cooling failed"
    """
    from federation.effects import FreezeFlag  # noqa: PLC0415 - brings the language along

    settings, who = settings_of(context), getpass.getuser()
    FreezeFlag(settings.state).set(True, who)
    print("effects are frozen on this node", flush=True)
    try:
        told = Api(settings).put("/v1/freeze", {"reason": reason})
    except (Temporary, Refused):
        say("the other nodes were not told; the gate tells them and the record as soon as it is up")
        raise
    print("and on all others" if told["recorded"] else f"and on all others; {FOLLOWS}")


def unfreeze(context: typer.Context) -> None:
    """Let effects act again. What was withheld meanwhile waits as a case.

    Example:

        elias unfreeze
    """
    from federation.effects import FreezeFlag  # noqa: PLC0415

    settings = settings_of(context)
    FreezeFlag(settings.state).set(False)
    try:
        told = Api(settings).delete("/v1/freeze")
    except Temporary:
        say("this node is no longer frozen; a freeze that is on record stands until you unfreeze once ELIAS is up")
        raise
    print("effects may act again" if told["recorded"] else f"effects may act again; {FOLLOWS}")


def mode(
    context: typer.Context,
    action: Annotated[str, typer.Argument(help="`point/action`; without it all are shown.")] = "",
    to: Annotated[str, typer.Argument(metavar="[observe|approve|act]", help="The new mode.")] = "",
    json_: Json = False,
) -> None:
    """How far each action may go: `observe` says what would be done, `approve` asks a person, `act` does it.

    Examples:

        elias mode

        elias mode ufm.node_health/drain approve
    """
    api = Api(settings_of(context))
    if to:
        api.put("/v1/modes", {"action": action, "mode": to})
        say(f"{action}: {to}")
        return
    found = api.get("/v1/modes")
    if action and action not in found["modes"]:
        raise Refused("no-action", f"`{action}` is not an action with an effect", cure="`elias mode` lists them")
    modes = {action: found["modes"][action]} if action else found["modes"]
    if json_:
        emit({**found, "modes": modes})
        return
    for name in found["away"]:
        say(f"{name} does not answer now; its actions are missing here")
    table(("action", "mode"), modes.items(), "no actions")
