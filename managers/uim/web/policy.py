"""The policy: which version scores, how sure it has to be at each point, and how its answers stood up to checks."""

import asyncio
import math
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from federation.errors import EliasError
from federation.policy import calibration, card
from federation.policy.calibration import PointCalibration
from federation.policy.sequential import ALPHA
from federation.policy.tier import SHIPPED, TABLES
from federation.settings import PolicySettings
from managers.uim.access import Person, Scope, needs
from managers.uim.api import cluster, context, policies
from managers.uim.web import managers, render

router = APIRouter(include_in_schema=False)
WORST = 0.1  # the share of wrong answers at the top of a curve
ENOUGH = -math.log(ALPHA)  # evidence at which the test of a challenger says something
USUAL = 0.05  # the share of wrong answers that a spec allows unless it says otherwise


class Calibrated(NamedTuple):
    """A policy at a point. threshold: from which it decides alone where 5 % may be wrong; None: never. coverage: the
    share of the questions it was tested on that reach it. curve: (share decided alone, bound on the share of wrong
    ones as a part of `WORST`) of every threshold tested.
    """

    point: str
    policy: str
    threshold: float | None
    coverage: float
    curve: list[tuple[float, float]]
    tested_on: int
    times: int


class Checked(NamedTuple):
    """What checks by people say of the answers at a point."""

    point: str
    checked: int
    wrong: int
    broken: bool


@router.get("/policy", dependencies=[needs(Scope.READ)])
async def policy(request: Request) -> Response:
    here = context.of(request)
    members, installed, registry = await asyncio.gather(
        render.known(cluster.tree(here)),
        asyncio.to_thread(read, here.settings.policy),
        render.known(policies.known(here, render.PATIENCE)),
    )
    cards, points, problems = installed
    health = next((m.health for m in members or [] if m.name == "policy"), {})
    return render.page(
        request,
        "policy.html",
        settings=here.settings.policy,
        away=members is None,
        engines=managers.engines(members or []),
        health=health,
        registry=registry,
        enough=ENOUGH,
        cards=cards,
        points=points,
        problems=problems,
        checks=_checks([m.health for m in members or []]),
        tiers=_tiers([m.health for m in members or []]),
    )


@router.post("/policy/rollback")
async def roll_back(request: Request, person: Annotated[Person, needs(Scope.CONTROL)]) -> Response:
    form = await render.form(request)
    try:
        step = form.one("step", 10)
        stood = await policies.rolled_back(
            context.of(request),
            form.one("point", 64),
            int(step) if step.isdecimal() else 0,
            person.name,
            form.one("reason", 500) or "on the page",
        )
    except EliasError as error:
        return render.message(request, error)
    return render.back(request, f"{stood.point}: {stood.champion[:12] or 'the policy of the settings'} answers.")


def read(settings: PolicySettings) -> tuple[list[card.Card], list[Calibrated], list[str]]:
    """The policies that are installed, with their calibrations, and what is wrong with one. Blocking."""
    cards: list[card.Card] = []
    points: list[Calibrated] = []
    problems: list[str] = []
    folder = settings.folder or SHIPPED
    try:
        cards.append(card.read(folder))
        points += _calibrated(folder / "calibration.json", cards[0].version)
        if settings.calibration is not None:
            points += _calibrated(settings.calibration, settings.model)
    except EliasError as error:
        problems.append(str(error))
    if settings.folder is None and TABLES.exists():
        from federation.policy.tabular import Tabular  # noqa: PLC0415 - NumPy, for whoever has such models

        points += _calibrated(TABLES / "calibration.json", Tabular(TABLES).version)
    return cards, sorted(points), problems


def _calibrated(path: Path, version: str) -> list[Calibrated]:
    return [_point(name, version, one) for name, one in calibration.load(path, version).points.items()]


def _point(name: str, version: str, known: PointCalibration) -> Calibrated:
    threshold = known.threshold(USUAL)
    curve = [(step.accepted / known.tested_on, min(1.0, step.bound / WORST)) for step in known.steps]
    reached = next((step.accepted / known.tested_on for step in known.steps if step.threshold == threshold), 0.0)
    return Calibrated(name, version, threshold, reached, curve, known.tested_on, known.times)


def _checks(healths: list[dict[str, Any]]) -> list[Checked]:
    return sorted(
        Checked(point, audit["checked"], audit["wrong"], audit["broken"])
        for health in healths
        for point, audit in health.get("figures", {}).get("audits", {}).items()
    )


def _tiers(healths: list[dict[str, Any]]) -> dict[str, list[tuple[str, int]]]:
    """Who answered at each point since its manager started."""
    found: dict[str, list[tuple[str, int]]] = {}
    for health in healths:
        for point, tier, count in health.get("figures", {}).get("answered", ()):
            found.setdefault(point, []).append((tier, count))
    return {point: sorted(tiers, key=lambda t: -t[1]) for point, tiers in sorted(found.items())}
