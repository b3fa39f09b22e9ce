"""The policies of the store, their trials, and a person's word on them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from managers.uim.access import Person, Scope, needs
from managers.uim.api import context
from managers.uim.api.body import Body
from managers.uim.api.context import Context
from managers.uim.reading import iso

PATIENCE = 20.0  # seconds: every byte of a policy is read before its first step

router = APIRouter(prefix="/v1/policies", tags=["policies"])
Operator = Annotated[Person, needs(Scope.CONTROL)]
Version = Annotated[str, Field(min_length=6, max_length=64, pattern="^[0-9a-f]+$")]
PointName = Annotated[str, Field(min_length=1, max_length=64)]
Number = Annotated[int, Field(ge=0, lt=2**31)]


class Estimate(BaseModel):
    """What a policy is expected to gain at a point, with the lower end of the 95 % interval: in percent of the
    champion's mean reward, or of all answers of people, where it agrees with more of them. speed: how many times as
    fast it answers; null: not measured. decisions: that it rests on."""

    improvement: float
    low: float
    speed: float | None
    decisions: int
    of: Literal["reward", "answers"] = "reward"


class Policy(BaseModel):
    """A policy of the store. points: versions of the points that it is calibrated for. signers: the names of the keys
    that are trusted here. metrics: of its card."""

    policy: str
    name: str
    parameters: int
    points: dict[str, int]
    estimates: dict[str, Estimate]
    signers: list[str]
    source: str
    by: str
    at: str
    content: str
    calibration: str
    data: dict[str, Any]
    metrics: dict[str, dict[str, float]]


class Trial(BaseModel):
    """A challenger. stage: shadow or canary; share: of the units, those that it decides about. shadowed, agreed:
    questions in the shadow, and the same answers as the champion's. decisions: that fell to it with this share. units,
    challenged: of which it is known what came of them, and its own among them. difference: of the mean reward, in parts
    of the bounds. better, worse: natural logarithms of the evidence; 3.0 is enough."""

    number: int
    challenger: str
    stage: str
    share: float
    begun: str
    since: str
    shadowed: int
    agreed: int
    decisions: int
    units: int
    challenged: int
    difference: float
    better: float
    worse: float


class Point(BaseModel):
    """Who answers at a point. step: number of the newest one that was taken there. champion: a version; empty: what the
    settings name. before: champions before it."""

    point: str
    step: int
    champion: str
    before: list[str]
    trial: Trial | None


class Waiting(BaseModel):
    """A policy that has an estimate for a point and was not tried there."""

    point: str
    policy: str
    at: str


class Policies(BaseModel):
    """policies: the newest first. points: at which one was ever tried or promoted."""

    policies: list[Policy]
    points: list[Point]
    waiting: list[Waiting]


class Register(Body):
    """policy: lies in the store of this installation. source: where it came from, for the record."""

    policy: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    source: str = Field("", max_length=200)


class Registered(BaseModel):
    """points: that it is calibrated for here. waiting: those at which it is tried by itself."""

    policy: str
    points: list[str]
    waiting: list[str]


class Promote(Body):
    """policy: a version, or 6 or more of its first digits. to: one step further, or at once the champion. step: the
    number of this one at the point, so that the same request again takes it once; without it whichever is next."""

    policy: Version
    point: PointName
    to: Literal["next", "champion"] = "next"
    reason: str = Field("", max_length=500)
    step: Number = 0


class RollBack(Body):
    """step: as of `Promote`."""

    point: PointName
    reason: str = Field("", max_length=500)
    step: Number = 0


class Stood(BaseModel):
    """Where a point stands now. policy: that the word was about. champion: empty: what the settings name. stage, share:
    of the trial that runs; empty: none does."""

    point: str
    policy: str
    champion: str
    stage: str
    share: float


@router.get("", summary="The policies of the store, and their trials", dependencies=[needs(Scope.READ)])
async def policies(request: Request) -> Policies:
    return await known(context.of(request))


@router.post("", summary="Register a policy that lies in the store")
async def register(request: Request, body: Register, person: Operator) -> Registered:
    return Registered(**await _told(context.of(request), "register", body.policy, body.source, person.name))


@router.post("/promote", summary="Take a policy one step further at a point")
async def promote(request: Request, body: Promote, person: Operator) -> Stood:
    here = context.of(request)
    number = body.step or await _next_step(here, body.point)
    words = (body.policy, body.point, body.to, number, person.name, body.reason)
    return Stood(**await _told(here, "promote", *words))


@router.post("/rollback", summary="End the trial at a point, or bring the champion before back")
async def roll_back(request: Request, body: RollBack, person: Operator) -> Stood:
    return await rolled_back(context.of(request), body.point, body.step, person.name, body.reason)


async def known(here: Context, patience: float = 5.0) -> Policies:
    """Raises Temporary while ULM is away."""
    found = (await here.link.call("ulm", "view", patience=patience)).get("trials", {})
    points = [Point(point=name, **_dated_trial(one)) for name, one in found.get("points", {}).items()]
    return Policies(
        policies=[Policy(**_dated(one)) for one in found.get("policies", ())],
        points=points,
        waiting=[Waiting(**_dated(one)) for one in found.get("waiting", ())],
    )


async def rolled_back(here: Context, point: str, step: int, by: str, reason: str) -> Stood:
    """step: as of `Promote`. Raises Refused where there is nothing to go back from."""
    return Stood(**await _told(here, "roll_back", point, step or await _next_step(here, point), by, reason))


async def _next_step(here: Context, point: str) -> int:
    """Read once: a call that ULM's end cut off is made again, and is to mean the same step."""
    number: int = await here.link.call("ulm", "next_step", point)
    return number


async def _told(here: Context, method: str, *words: str | int) -> dict[str, Any]:
    said: dict[str, Any] = await here.link.call("ulm", method, *words, patience=PATIENCE)
    return said


def _dated(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "at": iso(one["at"])}


def _dated_trial(one: dict[str, Any]) -> dict[str, Any]:
    trial = one["trial"]
    if trial is None:
        return one
    return {**one, "trial": {**trial, "begun": iso(trial["begun"]), "since": iso(trial["since"])}}
