"""peers: other clusters that this one exchanges capacity and jobs with."""

from typing import Any

import typer

from federation.errors import Refused
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.output import Json, complain, emit, table

group = typer.Typer(help="Other clusters: what they have free, and which jobs are where.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(group, name="peers")


@group.command("list")
def list_(context: typer.Context, json_: Json = False) -> None:
    """The peers that the settings name: when each was heard, what it has free for us, and which jobs are where.

    Examples:

        elias peers list

        elias peers list --json | jq -r '.peers[] | select(.heard | not) | .name'
    """
    peers: list[dict[str, Any]] = Api(settings_of(context)).get("/v1/managers/ufm")["peers"]
    if json_:
        emit({"peers": peers})
        return
    if not peers:
        cure = "docs/peers.md says how to set one up; a change of the settings counts from the next start"
        raise Refused("no-peers", "the settings name no peer", cure=cure)
    columns = ("peer", "heard", "free GPUs", "free memory", "our jobs there", "its jobs here")
    table(columns, map(_row, peers), "")
    for peer in peers:
        if peer["problem"]:
            complain(
                f"{peer['name']}: {peer['problem']}", cure="see docs/peers.md; what was told before soon counts no more"
            )


@group.command()
def card(context: typer.Context) -> None:
    """The card of this cluster: what its peers are to have of it. It holds no secret.

    Examples:

        elias peers card > east.card
    """
    from federation.peers import identity  # noqa: PLC0415 - cryptography is not needed for `--help`

    settings = settings_of(context)
    if not settings.peers.name:
        cure = "set `peers.name` in elias.yaml"
        raise Refused("no-name", "this cluster has no name for its peers", place="peers.name", cure=cure)
    print(identity.card(settings.peers_folder, settings.peers.name), end="")


def _row(peer: dict[str, Any]) -> list[str]:
    rooms = peer["rooms"] if peer["heard"] else []
    return [
        peer["name"],
        "never" if peer["age"] is None else f"{peer['age']:.0f} s ago",
        f"{max((room['gpus'] for room in rooms), default=0)} on a node",
        f"{max((room['memory'] for room in rooms), default=0) / 2**30:.1f} GiB on a node",
        " ".join(peer["sent"]),
        " ".join(peer["guests"]),
    ]
