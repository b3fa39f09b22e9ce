"""What the ELIAS that runs says of itself, and the freeze."""

from collections.abc import Iterable, Iterator
from typing import Any

from federation.effects import FreezeFlag
from federation.errors import EliasError, Refused
from federation.settings import Settings
from managers.uim.cli.client import Api
from managers.uim.doctor import clock, versions
from managers.uim.doctor.finding import ERROR, NOTE, OK, WARNING, Code, Finding
from managers.uim.doctor.here import Here

READY = Code("serving.ready", OK, "all managers answer, and the ledger takes commits")
NOT_READY = Code(
    "serving.not_ready",
    ERROR,
    "ELIAS runs and cannot work, or its API does not answer",
    "see the logs of the state folder, `root.log` and `uim.log` first",
)
GAVE_UP = Code(
    "serving.gave_up",
    ERROR,
    "a process failed so often that it is not started any more",
    "see its log; then answer its case: `elias cases`",
)
DOWN = Code(
    "serving.down", WARNING, "a process is being started", "look again in a few seconds; its log says why it ended"
)
REFUSED = Code(
    "serving.rules_refused",
    ERROR,
    "a process does not take the newest rules, and decides by older ones",
    "`elias status` says why; correct the rules",
)
SILENT_NODE = Code(
    "serving.node",
    WARNING,
    "a node of the cluster is not well",
    "look with `elias nodes`, and there with `elias doctor`",
)
FROZEN = Code(
    "serving.frozen", WARNING, "effects are frozen: nothing is acted on", "`elias unfreeze`, once the reason is gone"
)
STARTING = Code("serving.starting", NOTE, "ELIAS is being started, or ends", "look again in a few seconds")

_UP = ("up", "leaving")
_UNLIKE = {"elias": versions.NODE, "clock": clock.NODE}
_WORDS = ("jobs", "labels", "reason", "by")
_MISSED = 3  # health checks in a row, after which the specs that ship take a node out


def check_freeze(here: Here) -> Iterator[Finding]:
    flag = FreezeFlag(here.settings.state)
    if flag:
        yield FROZEN.found(f"by {flag.by or 'somebody'}", flag.path)


def check(here: Here) -> Iterator[Finding]:
    if not here.runs:
        if here.keeper is not None and here.role == "head":
            yield STARTING.found(f"process {here.keeper} has no Ray that serves")
        return
    api = Api(here.settings, as_owner=True)
    try:
        ready = api.get("/readyz")
    except Refused as error:
        yield NOT_READY.found(error.message, error.place or api.url, error.cure)
    except EliasError as error:
        yield NOT_READY.found(str(error), api.url)
    else:
        yield READY.found(f"the last commit was {ready['ledger_age']:.1f} s ago", api.url)
    yield from members(_or_nothing(api, "/v1/managers", "members"))
    yield from nodes(_or_nothing(api, "/v1/nodes", "nodes"))


def _or_nothing(api: Api, path: str, name: str) -> list[dict[str, Any]]:
    """Where it does not answer, that is told by now."""
    try:
        found: list[dict[str, Any]] = api.get(path)[name]
    except EliasError:
        return []
    return found


def members(tree: Iterable[dict[str, Any]]) -> Iterator[Finding]:
    """tree: as `GET /v1/managers` tells it."""
    for one in tree:
        name, status = one["name"].removeprefix("watch."), one["status"]
        if status == "gave up":
            yield GAVE_UP.found(f"{name} gave up", name)
        elif status == "starting":
            yield DOWN.found(f"{name} is {status}", name)
        if refused := one["health"].get("bundle_refused"):
            yield REFUSED.found(str(refused["why"]).splitlines()[0], name)


def nodes(found: Iterable[dict[str, Any]]) -> Iterator[Finding]:
    """found: as `GET /v1/nodes` tells them."""
    for one in found:
        if "source" in one:
            continue  # `elias slurm` and `elias kubernetes` tell of those, and who keeps them
        if one.get("status") not in _UP:
            yield SILENT_NODE.found(f"it is {one.get('status')}", one.get("name", ""))
        elif one.get("missed", 0) >= _MISSED:
            yield SILENT_NODE.found(f"it missed its last {one['missed']} health checks", one.get("name", ""))
        for what, words in one.get("unlike", {}).items():
            yield _UNLIKE[what].found(words, one.get("name", ""))


def status(settings: Settings) -> dict[str, Any]:
    """What `elias status` tells, without what people have named or written: jobs, and in Slurm reasons and partitions.
    Raises EliasError."""
    api = Api(settings, as_owner=True)
    found: dict[str, Any] = {"frozen": api.get("/v1/freeze")["frozen"], "members": api.get("/v1/managers")["members"]}
    found["nodes"] = [
        {**one, "report": {name: value for name, value in one.get("report", {}).items() if name not in _WORDS}}
        for one in _or_nothing(api, "/v1/nodes", "nodes")
    ]
    return found
