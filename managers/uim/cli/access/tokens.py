"""tokens: what programs show in place of a person."""

from typing import Annotated
from urllib.parse import quote

import typer

from federation.errors import Refused
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.output import Json, emit, say, table

app = typer.Typer(help="API tokens: for programs, limited to some scopes and to a time.", no_args_is_help=True)


@app.command("list")
def list_(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Those of everybody; for administrators.")] = False,
    json_: Json = False,
) -> None:
    """Your tokens, without their secrets.

    Example:

        elias tokens list
    """
    found = Api(settings_of(context)).get("/v1/tokens", all=str(all_).lower())
    if json_:
        emit(found)
        return
    rows = [
        [t["id"], t["account"], t["label"], " ".join(t["scopes"]), t["expires"][:10], (t["used"] or "never")[:19]]
        for t in found["tokens"]
    ]
    table(("token", "of", "for", "scopes", "ends", "used"), rows, "no tokens; `elias tokens new` makes one")


@app.command()
def new(
    context: typer.Context,
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", "-s", help="What it may do: read, events, cases, control, bundles or accounts."),
    ] = None,
    label: Annotated[str, typer.Option("--label", "-l", help="What it is for.")] = "",
    days: Annotated[float, typer.Option(help="Until it ends, at most 366.")] = 90.0,
    json_: Json = False,
) -> None:
    """Make a token. It is printed this once, and kept nowhere.

    Give it no more scopes than its program needs: a monitor that sends events needs `events`, one that reads figures
    needs `read`.

    Examples:

        elias tokens new --scope events --label alertmanager

        elias tokens new -s read -l prometheus --days 366 > /etc/prometheus/elias.token
    """
    if not scope:
        cure = "name what it may do, such as --scope read"
        raise Refused("no-scope", "a token without a scope is good for nothing", place="--scope", cure=cure)
    made = Api(settings_of(context)).post("/v1/tokens", {"scopes": scope, "label": label, "days": days})
    if json_:
        emit(made)
        return
    say(f"token {made['id']} is good until {made['expires'][:10]}; it is shown this once")
    print(made["secret"])


@app.command()
def revoke(
    context: typer.Context, id: Annotated[str, typer.Argument(help="The token, as `elias tokens list` shows it.")]
) -> None:
    """Make a token good for nothing, at once.

    Example:

        elias tokens revoke 3f9a1c0b5d2e
    """
    id = id.removeprefix("elias_").partition("_")[0]
    Api(settings_of(context)).delete(f"/v1/tokens/{quote(id, safe='')}")
    say(f"token {id} is revoked")
