"""The federation itself: nodes, managers and their tree, points, modes, the freeze, applications."""

import asyncio
import secrets
from dataclasses import asdict
from importlib.metadata import version
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from federation.effects import FreezeFlag
from federation.errors import EliasError, Refused
from federation.records import Event
from federation.replies import Rejected
from managers.uim import skew
from managers.uim.access import Person, Scope, needs
from managers.uim.api import context
from managers.uim.api.body import Body
from managers.uim.api.context import Context
from managers.uim.api.lanes import submitted
from managers.uim.points import RESTART
from managers.uim.reading import iso

router = APIRouter(prefix="/v1", tags=["federation"])
_ELIAS = version("elias")  # that runs here, whatever is installed meanwhile
Operator = Annotated[Person, needs(Scope.CONTROL)]


class Member(BaseModel):
    """A supervisor or a process of the tree. health: what the process says of itself; empty when it does not answer.
    elias: the version that it runs. ahead: by how many seconds the clock of its machine is before that of the head,
    give or take `within`."""

    name: str
    supervisor: str
    status: str
    since: str
    restarts: int
    pid: int
    node: str
    elias: str = ""
    ahead: float | None = None
    within: float | None = None
    health: dict[str, Any] = {}


class Tree(BaseModel):
    members: list[Member]


class Nodes(BaseModel):
    """As UFM knows them: capacity, what is free, health, and the newest report of each; of those with an agent also the
    version of ELIAS there, its clock, and in what these differ from the head. problem: what is out of sight of what
    ELIAS watches beside them, such as a Slurm cluster, and why; empty where nothing is. elias: the version of the
    head."""

    nodes: list[dict[str, Any]]
    elias: str
    problem: str = ""


class Restart(Body):
    """patience: seconds that the jobs of the node have to end."""

    patience: float = Field(600.0, ge=0, le=86_400, allow_inf_nan=False)


class Ordered(BaseModel):
    """The decision on an order: what became of it is told under its id."""

    decision: dict[str, Any]


class Modes(BaseModel):
    """`point/action` to its mode. away: managers that did not answer."""

    modes: dict[str, str]
    away: list[str] = []


class SetMode(Body):
    action: str = Field(max_length=130, examples=["ufm.node_health/drain"])
    mode: str = Field(max_length=16, examples=["observe", "approve", "act"])


class Frozen(BaseModel):
    """Whether effects are frozen. by: who froze them."""

    frozen: bool
    by: str = ""


class SetFreeze(Body):
    reason: str = Field("", max_length=500)


class Recorded(BaseModel):
    """recorded: false while the ledger takes nothing; the word counts all the same, and its record follows."""

    recorded: bool


@router.get("/nodes", summary="Nodes with their live figures", dependencies=[needs(Scope.READ)])
async def nodes(request: Request) -> Nodes:
    here = context.of(request)
    view = await _view(here, "ufm")
    nodes = await told(here, view.get("nodes", []))
    return Nodes(nodes=nodes, elias=_ELIAS, problem="; ".join(view.get("problems", ())))


@router.post("/nodes/{name}/restart", summary="Start the ELIAS of a machine anew, once its jobs have ended")
async def restart(request: Request, name: str, body: Restart, person: Operator) -> Ordered:
    here = context.of(request)
    view = await _view(here, "ufm")
    known = {node["name"]: node for node in await told(here, view.get("nodes", [])) if node.get("elias")}
    if name not in known:
        cure = f"one of: {', '.join(known)}" if known else "no agent has reported yet; try again in a moment"
        raise Refused("no-node", f"ELIAS runs on no node `{name}`", cure=cure)
    head = bool(known[name]["head"])
    jobs = sum(head or job["node"] == name for job in view.get("jobs", {}).get("running", ()))
    counted = here.clock.now()
    data = {"head": head, "jobs": jobs, "counted": counted, "patience": body.patience, "by": person.name}
    event = Event(f"restart {secrets.token_hex(8)}", "elias/uim", RESTART.events[0], name, None, data)
    result = await submitted(here.link, "uim", event)
    if isinstance(result, Rejected):
        raise Refused(result.code, result.message, place=result.place, cure=result.cure)
    return Ordered(decision=msgspec.to_builtins(result[0]))


@router.get(
    "/managers", summary="The supervision tree, with what each process says of itself", dependencies=[needs(Scope.READ)]
)
async def managers(request: Request) -> Tree:
    return Tree(members=await tree(context.of(request)))


@router.get("/managers/{name}", summary="What a manager shows of its state", dependencies=[needs(Scope.READ)])
async def manager(request: Request, name: str) -> dict[str, Any]:
    here = context.of(request)
    if name not in here.managers:
        raise Refused("no-manager", f"no manager is named `{name}`", cure=f"one of: {', '.join(here.managers)}")
    return await _view(here, name)


@router.get(
    "/points", summary="The decision points: facts, actions, settings, events", dependencies=[needs(Scope.READ)]
)
def points(request: Request) -> dict[str, list[dict[str, Any]]]:
    return {"points": [point.describe() for _, point in sorted(context.of(request).points.items())]}


@router.get("/modes", summary="How far each action may go", dependencies=[needs(Scope.READ)])
async def modes(request: Request) -> Modes:
    here = context.of(request)
    answers = await asyncio.gather(
        *(here.link.call(m, "modes", patience=2.0) for m in here.managers), return_exceptions=True
    )
    found: dict[str, str] = {}
    away = []
    for name, answer in zip(here.managers, answers, strict=True):
        if isinstance(answer, BaseException):
            away.append(name)
        else:
            found |= {f"{point}/{action}": mode for point, some in answer.items() for action, mode in some.items()}
    return Modes(modes=dict(sorted(found.items())), away=away)


@router.put("/modes", summary="Set the mode of an action", status_code=204)
async def set_mode(request: Request, body: SetMode, person: Operator) -> Response:
    await context.of(request).link.call("gate", "set_mode", body.action, body.mode, person.name)
    return Response(status_code=204)


@router.get("/freeze", summary="Whether effects are frozen", dependencies=[needs(Scope.READ)])
def freeze(request: Request) -> Frozen:
    return frozen(context.of(request))


@router.put("/freeze", summary="Freeze all effects")
async def set_freeze(request: Request, body: SetFreeze, person: Operator) -> Recorded:
    return Recorded(recorded=await switch_freeze(context.of(request), True, person.name, body.reason))


@router.delete("/freeze", summary="Let effects act again")
async def unfreeze(request: Request, person: Operator) -> Recorded:
    return Recorded(recorded=await switch_freeze(context.of(request), False, person.name, ""))


@router.get("/apps", summary="The applications that UAM runs", dependencies=[needs(Scope.READ)])
async def apps(request: Request) -> dict[str, Any]:
    return await _view(context.of(request), "uam")


def frozen(here: Context) -> Frozen:
    flag = FreezeFlag(here.settings.state)
    return Frozen(frozen=bool(flag), by=flag.path.read_text().strip() if flag else "")


async def switch_freeze(here: Context, on: bool, by: str, reason: str) -> bool:
    """The flag of this node first: a freeze must not wait for anybody. False: its record follows."""
    if on:
        FreezeFlag(here.settings.state).set(True, by)
    recorded: bool = await here.link.call("gate", "set_freeze", on, by, reason)
    return recorded


async def told(here: Context, nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Nodes of UFM's view with what the root supervisor hears of their agents, as far as it answers."""
    try:
        members = await here.link.call("root", "tree", patience=2.0)
    except EliasError:
        members = []
    return skew.told(nodes, members, _ELIAS)


async def all_nodes(here: Context) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await _view(here, "ufm")).get("nodes", [])
    return found


async def tree(here: Context) -> list[Member]:
    """Every member of the supervision tree, with the health of those that are processes."""
    members = await here.link.call("root", "tree", patience=2.0)
    running = [m.name for m in members if m.pid]
    by_name = dict(zip(running, await asyncio.gather(*(health(here, name) for name in running)), strict=True))
    return [
        Member(**(asdict(m) | {"since": iso(m.since), "health": by_name.get(m.name) or {}, "status": str(m.status)}))
        for m in members
    ]


async def health(here: Context, child: str) -> dict[str, Any] | None:
    """What a process says of itself; None when it does not answer."""
    try:
        answer: dict[str, Any] = await here.link.call(child, "health", patience=2.0)
    except EliasError:
        return None
    return answer


async def _view(here: Context, manager: str) -> dict[str, Any]:
    answer: dict[str, Any] = await here.link.call(manager, "view", patience=2.0)
    return answer
