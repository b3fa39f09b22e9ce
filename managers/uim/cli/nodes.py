"""invite, join, leave, nodes: the machines of the cluster."""

import contextlib
import socket
from pathlib import Path
from typing import Annotated, Any

import typer

from managers.uim.cli.client import Api, loaded, settings_of
from managers.uim.cli.output import Json, complain, emit, note, say, table

Labels = Annotated[
    list[str] | None, typer.Option("--label", help="What this node is for, such as `inference`; may be given again.")
]

_CURES = {
    "elias": "install the version of the head there; then `elias restart`",
    "clock": "keep the clocks of both right with NTP",
}


def add_to(app: typer.Typer) -> None:
    app.command()(nodes)
    app.command()(invite)
    app.command()(join)
    app.command()(leave)


def nodes(context: typer.Context, json_: Json = False) -> None:
    """The machines of the cluster, with what they have and how they are.

    Examples:

        elias nodes

        elias nodes --json | jq -r '.nodes[] | select(.status != "up") | .name'
    """
    found = Api(settings_of(context)).get("/v1/nodes")
    if json_:
        emit(found)
        return
    columns = ("node", "status", "cores", "memory", "gpus", "labels", "heard", "cpu", "memory in use", "disk in use")
    table((*columns, "ELIAS", "clock"), map(_row, found["nodes"]), "no node has reported yet")
    for node in found["nodes"]:
        for what, words in node.get("unlike", {}).items():
            complain(words, node["name"], _CURES[what])
    if found["problem"]:
        complain(found["problem"], cure="its page in docs/ says what ELIAS needs of it")


def _row(node: dict[str, Any]) -> list[str]:
    report = node.get("report", {})
    silence = node.get("silence")
    return [
        node["name"],
        node["status"],
        f"{report['cpus']}" if "cpus" in report else "",
        f"{report['memory_total'] / 2**30:.0f} GiB" if "memory_total" in report else "",
        f"{node.get('gpus', 0)}",
        " ".join(report.get("labels", ())),
        "never" if silence is None else f"{silence:.0f} s ago",
        *("" if report.get(key) is None else f"{report[key]:.0f} %" for key in ("cpu", "memory", "disk")),
        node.get("elias", ""),
        f"{clock['ahead']:+.3f} s" if (clock := node.get("clock")) else "",
    ]


def invite(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to write the invitation; it is a secret, mode 0600.")],
) -> None:
    """Write down what other machines need to join the cluster that runs here.

    Whoever has the file can join, and a node of the cluster can do what ELIAS does: carry it as you carry a private
    key, and delete it when the machines have joined.

    Example:

        elias invite cluster.join && scp cluster.join node2:
    """
    from federation.runtime.invitation import Invitation  # noqa: PLC0415

    invitation = Invitation.of(settings_of(context).state)
    invitation.save(file)
    host = invitation.head.rpartition(":")[0]
    say(f"on the machine that joins: elias join {host} --token-file {file.name}")


def join(
    context: typer.Context,
    token_file: Annotated[Path, typer.Option("--token-file", "-t", help="The file that `elias invite` wrote there.")],
    head: Annotated[str, typer.Argument(help="Address of the head, or `address:port`.")] = "",
    discover: Annotated[
        bool, typer.Option("--discover", help="Find the head on the local network; it has `ray.discoverable`.")
    ] = False,
    name: Annotated[str, typer.Option(help="Name of this node; by default its host name.")] = "",
    label: Labels = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once it has joined, and leave it so.")] = False,
) -> None:
    """Make this machine a node of the cluster whose head is there.

    It stays in the foreground until Ctrl-C or `elias leave`. The state folder of this machine keeps what its agent did.

    Examples:

        elias join 10.0.0.1 --token-file cluster.join

        elias join 10.0.0.1 -t cluster.join --name gpu7 --label inference --label storage --detach

        elias join --discover --token-file cluster.join
    """
    from federation.errors import Refused  # noqa: PLC0415
    from federation.runtime.cluster import Member  # noqa: PLC0415
    from federation.runtime.invitation import Invitation  # noqa: PLC0415
    from managers.uim import launch, membership, restarting  # noqa: PLC0415

    settings = loaded(context)
    member = Member(name or socket.gethostname(), tuple(label or ()))
    if bool(head) is discover:
        what = "the address of a head, or `--discover`: one of the two"
        raise Refused("address", what, cure="write it like `elias join 10.0.0.1 --token-file FILE`")
    invitation = Invitation.load(token_file)
    invitation = membership.discovered(settings, invitation) if discover else invitation.at(head)
    words = ["join", head or "--discover", "--name", member.name]
    words += [part for one in member.labels for part in ("--label", one)]
    if detach:
        membership.check(settings, member)
        words += ["--token-file", str(token_file.resolve())]
        launch.detached(context.obj, words, settings, membership.has_joined)
        say(f"this machine is node {member.name}")
        return
    try:
        with launch.endable(), contextlib.suppress(KeyboardInterrupt), launch.keeping(settings) as alone:
            if not alone:
                membership.check(settings, member)
                what, cure = "another `elias up` or `elias join` works here", "`elias down` ends it"
                raise Refused("kept", what, place=str(settings.state), cure=cure)
            membership.stay(settings, invitation, member, note)
    except restarting.Again:
        kept = token_file.resolve()
        if not kept.exists():  # who has joined may delete it
            kept = settings.state.resolve() / "cluster.join"
            invitation.save(kept)
        restarting.again(launch.command(context.obj, [*words, "--token-file", str(kept)]))


def leave(context: typer.Context) -> None:
    """Take this machine out of the cluster that it joined, once its jobs have ended.

    No more jobs come meanwhile. Ctrl-C ends the waiting, and the machine leaves all the same; `elias down` ends its
    jobs.

    Example:

        elias leave
    """
    from managers.uim import membership  # noqa: PLC0415

    left = membership.leave(settings_of(context), say)
    say("this machine has left the cluster" if left else "this machine was in no cluster")
