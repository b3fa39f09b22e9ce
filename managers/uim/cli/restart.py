"""restart: the machines of the cluster, one after the other."""

import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

import typer

from federation.errors import Refused, Temporary
from managers.uim import rolling
from managers.uim.cli.client import Api, settings_of
from managers.uim.cli.output import Json, emit, say
from managers.uim.rolling import Node, Rolling

if TYPE_CHECKING:
    from federation.settings import Settings

LOOK = 1.0  # seconds between two looks at a node
BACK = 300.0  # seconds in which a machine has to be back once its jobs have ended; a start takes about 10
_GOES_ON = "see `elias.log` in its state folder, or its journal; then run the same command again: it goes on"


def add_to(app: typer.Typer) -> None:
    app.command()(restart)


def restart(
    context: typer.Context,
    node: Annotated[list[str] | None, typer.Argument(help="Nodes; without any, all of the cluster.")] = None,
    patience: Annotated[float, typer.Option(min=0, max=86_400, help="Seconds that jobs have to end.")] = 600.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    json_: Json = False,
) -> None:
    """Start ELIAS anew on one machine after the other, with what is installed there by now; the head comes last.

    A node takes no more work, ends its jobs, leaves, and joins again; only then it is the next one's turn. It stops at
    the first one that does not come back, or whose jobs do not end in time. Run again without nodes, it goes on where
    it was.

    Examples:

        elias restart --dry-run

        elias restart

        elias restart node2 node3 --patience 3600
    """
    settings = settings_of(context)
    api = Api(settings)
    nodes = api.get("/v1/nodes")["nodes"]
    begun = None if node else Rolling.of(settings.state, version("elias"))
    if begun is not None and begun.stale(time.time()):
        say(f"a restart that was broken off long ago is not gone on with; left was {', '.join(begun.left)}")
        begun = None
    left = begun or rolling.begin(nodes, node or [], version("elias"))
    for name in rolling.done(left, nodes) if begun else ():
        left = left.without(name)
    if begun is not None:
        say(f"going on with the restart that was begun; left: {', '.join(left.left) or 'nothing'}")
    if dry_run:
        _show(left, nodes, json_=json_)
        return
    restarted = []
    for name in left.left:
        if not node:
            left.save(settings.state, time.time())
        for words in _restarted(settings, api, name, left, patience):
            say(f"{name}: {words}")
        restarted.append(name)
        left = left.without(name)
    if not node:
        left.save(settings.state, time.time())
    if json_:
        emit({"restarted": restarted})


def _show(left: Rolling, nodes: list[Node], *, json_: bool) -> None:
    known = {str(node["name"]): node for node in nodes}
    steps = []
    for name in left.left:
        found = known.get(name, {})
        jobs = [str(job["id"]) for job in found.get("report", {}).get("jobs", ())]
        steps.append({"node": name, "head": bool(found.get("head")), "elias": found.get("elias", ""), "jobs": jobs})
    if json_:
        emit({"steps": steps})
        return
    for step in steps:
        waits = f", once {', '.join(step['jobs'])} ended" if step["jobs"] else ""
        print(f"{step['node']}: ELIAS {step['elias']} would start anew{', the head' if step['head'] else ''}{waits}")


def _restarted(settings: "Settings", api: Api, name: str, left: Rolling, patience: float) -> Iterator[str]:
    """Words on what goes on, until the machine is back. Raises Refused where it may not be restarted, its jobs go on or
    it does not come back."""
    before = next((node for node in api.get("/v1/nodes")["nodes"] if node["name"] == name), None)
    if before is None or not before.get("elias"):
        raise rolling.gone(name, left.left)
    decision = api.post(f"/v1/nodes/{name}/restart", {"patience": patience})["decision"]
    if decision["status"] == "waiting":
        raise Refused("waits", f"a person decides on the restart of {name}", cure="answer it: `elias cases`")
    if decision["action"] != "restart":
        cure = f"`elias explain {decision['id']}` says why; the head is restarted once no job runs in the cluster"
        raise Refused("held", f"{name} is not restarted now", cure=cure)
    deadline, shown = time.monotonic() + patience + BACK, "told to start anew"
    yield shown
    while time.monotonic() < deadline:
        _check(api, decision["id"], name)
        now = _seen(api, name)
        if now is not None and rolling.is_back(now, rolling.actor_of(before)):
            yield f"is back, with ELIAS {now['elias']}"
            return
        if before["head"] and _stands_by(settings):
            yield "has handed over to another machine, and stands by; go on there"
            return
        words = rolling.words(now, before)
        if shown.startswith(rolling.LEAVING) and words == rolling.CALLED_OFF:
            cure = "end them, or give them longer (`--patience`); then run the same command again: it goes on"
            raise Refused("jobs", f"{name} was not restarted: its jobs have not ended in time", cure=cure)
        if words not in (shown, rolling.CALLED_OFF):
            yield words
        shown = words if words != rolling.CALLED_OFF else shown
        time.sleep(LOOK)
    raise Refused("not-back", f"{name} has not come back in time", cure=_GOES_ON)


def _check(api: Api, decision: str, name: str) -> None:
    """Raises Refused where nothing comes of the order."""
    try:
        found = api.get(f"/v1/decisions/{decision}")
    except Temporary:
        return
    if found["effect"] in ("withheld", "approval"):
        raise Refused("withheld", f"the restart of {name} waits for a person", cure="answer it: `elias cases`")
    if found["outcome"] not in ("", "done", "unknown"):
        why = next((step["detail"] for step in reversed(found["steps"]) if step["detail"]), found["outcome"])
        raise Refused(found["outcome"], f"{name}: {why}", cure=_GOES_ON)


def _seen(api: Api, name: str) -> Node | None:
    """None: it has gone, or nobody answers, as while the head starts."""
    try:
        return next((node for node in api.get("/v1/nodes")["nodes"] if node["name"] == name), None)
    except Temporary:
        return None


def _stands_by(settings: "Settings") -> bool:
    from managers.uim import membership  # noqa: PLC0415 - what starts Ray

    return membership.has_joined(settings)
