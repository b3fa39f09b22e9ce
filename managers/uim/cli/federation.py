"""up, down, status: the federation as a whole."""

import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from federation.errors import EliasError, Temporary
from managers.uim.cli.client import Api, Unreachable, loaded, settings_of, url_of
from managers.uim.cli.nodes import Labels
from managers.uim.cli.output import Json, emit, note, say, table

if TYPE_CHECKING:
    from federation.settings import Settings


def add_to(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(down)
    app.command()(status)


def up(
    context: typer.Context,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return once it serves, and leave it running.")
    ] = False,
    tls_: Annotated[
        bool,
        typer.Option("--tls", help="Serve HTTPS, and with `--head` nodes speak TLS. Certificates are made."),
    ] = False,
    head: Annotated[
        bool, typer.Option("--head", help="Let other machines join; `elias invite` writes down what they need.")
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", "-t", help="The file of `elias invite` there, to take turns with another head."),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of this node; by default its host name.")] = "",
    label: Labels = None,
) -> None:
    """Start ELIAS on this machine, or find it running.

    It stays in the foreground until Ctrl-C, which drains it. A second `elias up` finds the first and ends. Until there
    is an account it prints a link that signs one browser in, once and within a quarter of an hour.

    Where the ledger is in PostgreSQL, several machines may be up with `--head`: one is the head of the cluster, and the
    others stand by.

    Examples:

        elias up

        elias --config /etc/elias/elias.yaml up --detach

        elias up --tls

        elias up --head

        elias up --head --token-file cluster.join
    """
    from federation.runtime.cluster import Member, port_of_head  # noqa: PLC0415
    from federation.runtime.invitation import Invitation  # noqa: PLC0415
    from managers.uim import launch, membership, restarting, succession, tls  # noqa: PLC0415 - what starts Ray

    settings = settings_of(context)
    if launch.running(settings) is None:
        settings = tls.flagged(loaded(context)) if tls_ else loaded(context)
        tls.remember(settings, tls_)
        if token_file is not None:
            succession.enrol(settings, Invitation.load(token_file))
    if head:
        settings = membership.reachable(settings, tls=tls_)
    member = Member(name or socket.gethostname(), tuple(label or ()), port_of_head(settings.ray) if head else 0)
    membership.check_words(member)
    words = ["up", *(flag for flag, given in (("--tls", tls_), ("--head", head)) if given)]
    words += ["--name", member.name, *(part for one in member.labels for part in ("--label", one))]
    if detach:
        launch.detached(context.obj, words, settings, _ready)
        if membership.has_joined(settings):
            say(f"this machine stands by, as node {member.name}")
        else:
            _greet(settings, "ELIAS is up", seen=True)
        return
    try:
        with launch.endable(), contextlib.suppress(KeyboardInterrupt):
            succession.serve(settings, member, note, lambda said: _greet(settings, said, seen=sys.stdout.isatty()))
    except restarting.Again:
        restarting.again(launch.command(context.obj, words))


def _ready(settings: "Settings") -> bool:
    from managers.uim import membership  # noqa: PLC0415 - what starts Ray

    if membership.has_joined(settings):
        return True
    try:
        Api(settings).get("/readyz")
    except Temporary:
        return False
    return True


def _greet(settings: "Settings", words: str, *, seen: bool) -> None:
    """Where the page is; while nobody has an account, as a link that signs its reader in. seen: by a person, and not
    kept in a log, where a link has no business."""
    path = ""
    try:
        api = Api(settings, as_owner=True)
        if not api.get("/v1/accounts")["accounts"]:
            if seen:
                path = api.post("/v1/links", None)["path"]
            else:
                say("`elias token --link` prints a link that signs you in")
    except EliasError as error:  # it runs all the same
        say(f"there is no link to sign in with: {error}")
    print(f"{words}: {url_of(settings)}{path}", flush=True)
    if settings.listen.tls:
        from managers.uim import tls  # noqa: PLC0415

        pair = tls.serving(settings)
        assert pair is not None
        say(f"SHA-256 fingerprint of the certificate: {tls.fingerprint(pair.cert.read_text())}")


def down(context: typer.Context) -> None:
    """Drain and end ELIAS: what was accepted is finished, the ledger is closed.

    Exit code 0 also when nothing ran.

    Example:

        elias down
    """
    from managers.uim import launch  # noqa: PLC0415

    say("ELIAS is down" if launch.down(settings_of(context), say) else "nothing was running")


def status(context: typer.Context, json_: Json = False) -> None:
    """What runs, on which nodes, and what waits for you.

    Examples:

        elias status

        elias status --json | jq '.members[] | select(.status != "running")'
    """
    settings = settings_of(context)
    api = Api(settings)
    here = {"url": api.url, "state": str(settings.state), "logs": str(settings.state / "logs")}
    try:
        members = api.get("/v1/managers")["members"]
    except Unreachable:
        if (settings.state / "frozen").exists():
            say("effects are frozen on this node")
        raise
    nodes, cases = _or_none(api, "/v1/nodes"), _or_none(api, "/v1/cases/groups")
    frozen, rules = api.get("/v1/freeze"), _or_none(api, "/v1/bundle") or {}
    found = {**here, "frozen": frozen["frozen"], "members": members}
    found["bundle"] = {name: value for name, value in rules.items() if name != "sources"} or None
    found |= {"nodes": nodes["nodes"] if nodes else None, "cases": cases["counts"] if cases else None}
    found["problem"] = nodes["problem"] if nodes else None
    if json_:
        emit(found)
        return
    if frozen["frozen"]:
        print(f"FROZEN by {frozen['by'] or 'somebody'}: no effect acts; `elias unfreeze` ends it")
    for line in (*_rules(found["bundle"], members), *_advisors(members)):
        print(line)
    if found["problem"]:
        print(found["problem"])
    rows = [
        [m["name"], m["status"], m["pid"] or "", m["restarts"], _load(m)] for m in members if not _is_group(m, members)
    ]
    table(("process", "status", "pid", "restarts", ""), rows, "no process")
    print()
    table(
        ("node", "status", "cpu", "memory", "disk", "gpu"), map(_node, found["nodes"] or ()), "no node has reported yet"
    )
    print()
    waiting = found["cases"]
    print(
        "the cases are not known now"
        if waiting is None
        else f"{waiting['cases']} open cases" + ("; `elias cases`" if waiting["cases"] else "")
    )


def _rules(bundle: dict[str, Any] | None, members: list[dict[str, Any]]) -> Iterator[str]:
    """Which rules are in force, and what keeps others from being so."""
    if bundle is None:
        yield "which rules are in force is not known now"
        return
    signed = f", signed by {', '.join(bundle['signers'])}" if bundle["signers"] else ""
    yield f"rules: {bundle['version'] or 'the spec folder'}, digest {bundle['digest'][:12]}{signed}"
    if bundle["unfollowed"]:
        yield f"edits of the spec folder change nothing: {bundle['unfollowed']}"
    if bundle["problem"]:
        yield f"not in force: {bundle['problem']['message'].splitlines()[0]}"
    for member in members:
        if refused := member["health"].get("bundle_refused"):
            yield f"REFUSED by {member['name']}, which decides by older rules: {refused['why']}"


def _advisors(members: list[dict[str, Any]]) -> Iterator[str]:
    """Who is asked what the policy is not sure of, and what that has cost today."""
    member = next((m for m in members if m["name"] == "advisor"), None)
    if member is None:
        yield "advisors: none, so what the policy is not sure of goes to a person; `advisors` in elias.yaml names them"
        return
    health = member["health"]
    if not health:
        yield "advisors: they do not answer now"
        return
    today = health["today"]
    spent = (
        f"{today['calls']} of {today['calls_most']} calls and ${today['cost']:.2f} of ${today['cost_most']:.2f} today"
    )
    for one in health["advisors"]:
        state = "" if one["state"] == "closed" else f", left alone for now: {one['problem']}"
        yield f"advisor: {one['model']} ({one['kind']}){state}"
    yield from (f"advisor: {why}" for why in health["missing"])
    yield f"advisors: {spent}" if health["advisors"] else "advisors: none can be used, so a person is asked"


def _or_none(api: Api, path: str) -> Any:
    try:
        return api.get(path)
    except Temporary:
        return None


def _is_group(member: dict[str, Any], members: list[dict[str, Any]]) -> bool:
    return any(other["supervisor"] == member["name"] for other in members) or not member["supervisor"]


def _load(member: dict[str, Any]) -> str:
    health = member["health"]
    return f"{health['rss'] / 1e6:.0f} MB" if "rss" in health else ""


def _node(node: dict[str, Any]) -> list[str]:
    report = node.get("report", {})
    shares = ("" if report.get(key) is None else f"{report[key]:.0f} %" for key in ("cpu", "memory", "disk", "gpu"))
    return [str(node.get("name", "")), str(node.get("status", "")), *shares]
