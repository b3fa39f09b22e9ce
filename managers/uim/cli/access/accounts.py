"""accounts: who may come in, and as what."""

import secrets
from typing import Annotated, Any
from urllib.parse import quote

import typer

from managers.uim.cli.access import ask
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.output import Json, emit, say, table

app = typer.Typer(help="Accounts: who may come in, and as what.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Of the account.")]
Role = Annotated[str, typer.Option(help="viewer, author, operator or admin.")]


@app.command("list")
def list_(context: typer.Context, json_: Json = False) -> None:
    """All accounts.

    Example:

        elias accounts list
    """
    found = Api(settings_of(context)).get("/v1/accounts")
    if json_:
        emit(found)
        return
    shown = found["accounts"]
    rows = [[a["name"], a["role"], a["by"], "disabled" if a["disabled"] else "", a["created"]] for a in shown]
    table(("name", "role", "comes in by", "", "since"), rows, "no accounts; `elias accounts add NAME` makes one")


@app.command()
def add(
    context: typer.Context,
    name: Name,
    role: Role = "viewer",
    generate: Annotated[bool, typer.Option("--generate", help="Make a password, and print it once.")] = False,
    json_: Json = False,
) -> None:
    """Add an account. The password is asked for, or read from standard input.

    A viewer sees everything; an author may put specs in force too; an operator answers cases, sends events, freezes
    and sets modes; an admin may do all of it, and keeps the accounts.

    Examples:

        elias accounts add ada --role operator

        elias accounts add grace --role author --generate
    """
    password = secrets.token_urlsafe(18) if generate else ask.new_password(f"Password for {name}")
    made = Api(settings_of(context)).post("/v1/accounts", {"name": name, "role": role, "password": password})
    _told(made, f"{made['name']} may come in as {made['role']}", password if generate else "", json_)


@app.command()
def password(
    context: typer.Context,
    name: Name,
    generate: Annotated[bool, typer.Option("--generate", help="Make a password, and print it once.")] = False,
) -> None:
    """Set a new password, and sign the account out everywhere.

    Example:

        elias accounts password ada
    """
    new = secrets.token_urlsafe(18) if generate else ask.new_password(f"New password of {name}")
    Api(settings_of(context)).put(f"{_path(name)}/password", {"new": new})
    _told({}, f"{name} has a new password, and is signed out everywhere", new if generate else "", False)


@app.command()
def role(
    context: typer.Context,
    name: Name,
    role: Annotated[str, typer.Argument(help="viewer, author, operator or admin.")],
    json_: Json = False,
) -> None:
    """Give an account another role. It counts from the next request on.

    Example:

        elias accounts role ada admin
    """
    changed = Api(settings_of(context)).patch(_path(name), {"role": role})
    _told(changed, f"{name} may come in as {changed['role']}", "", json_)


@app.command()
def disable(context: typer.Context, name: Name, json_: Json = False) -> None:
    """Let an account in no more: its sessions end, and its tokens are good for nothing.

    Example:

        elias accounts disable ada
    """
    changed = Api(settings_of(context)).patch(_path(name), {"disabled": True})
    _told(changed, f"{name} may not come in any more; `elias accounts enable {name}` undoes it", "", json_)


@app.command()
def enable(context: typer.Context, name: Name, json_: Json = False) -> None:
    """Let a disabled account in again.

    Example:

        elias accounts enable ada
    """
    changed = Api(settings_of(context)).patch(_path(name), {"disabled": False})
    _told(changed, f"{name} may come in as {changed['role']}", "", json_)


@app.command()
def trail(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=500)] = 50,
    json_: Json = False,
) -> None:
    """The audit trail, newest first: who came in, who changed what, and from where.

    Example:

        elias accounts trail --limit 200
    """
    found = Api(settings_of(context)).get("/v1/access", limit=limit)
    if json_:
        emit(found)
        return
    rows = [[r["time"][:19], r["who"], r["what"], r["detail"], r["via"], r["address"]] for r in found["records"]]
    table(("time", "who", "what", "", "by", "from"), rows, "nobody came in yet")


def _path(name: str) -> str:
    return f"/v1/accounts/{quote(name, safe='')}"


def _told(found: dict[str, Any], words: str, password: str, json_: bool) -> None:
    if json_:
        emit(found | ({"password": password} if password else {}))
        return
    say(words)
    if password:
        print(password)
