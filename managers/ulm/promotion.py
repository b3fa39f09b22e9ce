"""How far a policy comes: from the estimate over the shadow and the canary to the champion of a point, or back."""

from collections.abc import Iterator
from typing import Any

import msgspec

from federation.clock import SECOND
from federation.points import DecisionPoint, Does, Due, Mode
from federation.policy import registry
from federation.policy.evidence import Records
from federation.policy.promotions import Estimate, Promotion
from federation.policy.registry import Line, Stage, Step, Trial
from federation.policy.sequential import Verdict, log_evidence
from federation.policy.trials import Observed, begun
from federation.records import Candidate
from tiki.schema import Action, Arg, Fact, Point, Setting, Type

EXECUTOR = "ulm.promotion"
STAGES = ("offline", "shadow", "canary")

_STEP = (
    Arg(name="point", type=Type.NAME, doc="the decision point"),
    Arg(name="policy", type=Type.NAME, doc="version of the challenger"),
    Arg(name="step", type=Type.COUNT, doc="number of the step at the point, so that none is taken twice"),
)

PROMOTION = DecisionPoint(
    Point(
        name="ulm.promotion",
        version=1,
        doc="How far does this challenger come at this decision point? Asked every minute of each trial that runs, and "
        "of each policy that was registered with an estimate for a point at which none runs.",
        facts=(
            Fact(name="stage", type=Type.NAME, doc="where the challenger stands", values=STAGES),
            Fact(
                name="improvement",
                type=Type.PERCENT,
                doc="what the past says that it gains: of the champion's mean reward, or where the log cannot tell of "
                "all answers of people; absent without an estimate",
            ),
            Fact(name="improvement_low", type=Type.PERCENT, doc="the lower end of its 95 % interval"),
            Fact(name="speed", type=Type.NUMBER, doc="how many times as fast it answers; absent: not measured"),
            Fact(name="shadowed", type=Type.COUNT, doc="questions that it was asked in the shadow"),
            Fact(name="agreement", type=Type.PERCENT, doc="of these: the champion said the same; absent with none"),
            Fact(name="share", type=Type.PERCENT, doc="of the units: those that it decides about", maximum=100),
            Fact(name="decisions", type=Type.COUNT, doc="that fell to it since it has this share"),
            Fact(name="units", type=Type.COUNT, doc="of its own since then, of which it is known what came of them"),
            Fact(name="significant", type=Type.FLAG, doc="the test has shown that it is better"),
            Fact(name="worse", type=Type.FLAG, doc="the test has shown that it is worse"),
            Fact(name="broken", type=Type.FLAG, doc="it broke its promise on errors at this point"),
            Fact(name="waited", type=Type.DURATION, doc="since it came to where it stands"),
        ),
        settings=(
            Setting(name="clear_win", type=Type.PERCENT, doc="gain that is worth a promotion by itself", default="10%"),
            Setting(name="small_win", type=Type.PERCENT, doc="gain below which nothing is tried", default="5%"),
            Setting(name="faster", type=Type.NUMBER, doc="speed with which a small gain is enough", default="1.5"),
            Setting(name="min_shadowed", type=Type.COUNT, doc="questions that the shadow lasts", default="200"),
            Setting(
                name="min_agreement",
                type=Type.PERCENT,
                doc="below it the challenger is a stranger, and goes back",
                default="40%",
            ),
            Setting(name="min_units", type=Type.COUNT, doc="units of its own before its share grows", default="20"),
            Setting(name="min_wait", type=Type.DURATION, doc="between two steps of a canary", default="1h"),
        ),
        actions=(
            Action(name="advance", doc="go on to the next stage, or the next share of the canary", args=_STEP),
            Action(name="promote", doc="make it the champion of the point", args=_STEP),
            Action(name="roll_back", doc="end the trial; the champion stays", args=_STEP),
            Action(name="hold", doc="leave it where it stands"),
        ),
        terminal="hold",
        titles=("ULM Promotion",),
    ),
    events=("elias.policy.trial",),
    effects={
        name: Does(EXECUTOR, Mode.OBSERVE, expires=60, disruptive=False) for name in ("advance", "promote", "roll_back")
    },
    outcome=Due(60.0, "done"),
)


class Waiting(msgspec.Struct, frozen=True):
    """A policy with an estimate for a point at which it was not tried yet. at: ledger time (ns) of its registration."""

    point: str
    policy: str
    at: int

    @property
    def subject(self) -> str:
        return subject_of(self.point, self.policy)


def subject_of(point: str, policy: str) -> str:
    return f"{point}/{policy[:12]}"


class Watched:
    """What the ledger says of each trial that runs, read as it grows."""

    def __init__(self, store: Records) -> None:
        self._store = store
        self._observed: dict[str, Observed] = {}

    def of(self, point: DecisionPoint, trial: Trial, now: int) -> Observed:
        known = self._observed.get(point.name)
        if known is None or known.number != trial.number:
            after = begun(self._store, point.name, trial)
            known = self._observed[point.name] = Observed(self._store, point, trial, after)
        known.read(now)
        return known


def facts(
    stage: str, since: int, estimate: Estimate | None, share: float, seen: Observed | None, broken: bool, now: int
) -> dict[str, Any]:
    """since, now: ledger time (ns). share: of the units. seen: None where the challenger was not tried yet."""
    shadowed = seen.shadowed if seen else 0
    return {
        "stage": stage,
        "improvement": estimate and estimate.improvement,
        "improvement_low": estimate and estimate.low,
        "speed": estimate and estimate.speed,
        "shadowed": shadowed,
        "agreement": 100.0 * seen.agreed / shadowed if seen and shadowed else None,
        "share": 100.0 * share,
        "decisions": seen.decided[share] if seen else 0,
        "units": seen.counted[share] if seen else 0,
        "significant": seen is not None and seen.verdict is Verdict.PROMOTE,
        "worse": seen is not None and seen.verdict is Verdict.ROLL_BACK,
        "broken": broken,
        "waited": (now - since) / SECOND,
    }


def candidates(point: str, policy: str, line: Line) -> Iterator[Candidate]:
    trial = line.trial
    args = {"point": point, "policy": policy, "step": line.step + 1}
    to = registry.next_step(trial)
    if to.stage is not Stage.CHAMPION:
        yield Candidate("advance", args)
    if trial is not None:
        if trial.stage is Stage.CANARY:
            yield Candidate("promote", args)
        yield Candidate("roll_back", args)
    yield Candidate("hold")


def target_of(action: str, trial: Trial | None) -> Step:
    """Where an action leads."""
    if action == "advance":
        return registry.next_step(trial)
    return Step(Stage.CHAMPION, 1.0) if action == "promote" else Step(Stage.ROLLED_BACK)


def shown(line: Line, seen: Observed | None) -> dict[str, Any]:
    """A point's champion and trial, as plain data. better, worse: natural logarithms of the evidence."""
    trial = line.trial
    found: dict[str, Any] = {
        "step": line.step,
        "champion": line.champion,
        "before": list(line.before),
        "trial": None,
    }
    if trial is not None:
        found["trial"] = {
            **msgspec.to_builtins(trial),
            "shadowed": seen.shadowed if seen else 0,
            "agreed": seen.agreed if seen else 0,
            "decisions": seen.decided[trial.share] if seen else 0,
            "units": seen.evidence.units if seen else 0,
            "challenged": seen.evidence.challenged if seen else 0,
            "difference": seen.evidence.difference() if seen else 0.0,
            "better": log_evidence(seen.evidence.better) if seen else 0.0,
            "worse": log_evidence(seen.evidence.worse) if seen else 0.0,
        }
    return found


def said_of(made: Promotion) -> str:
    share = f" at {made.share:.0%}" if made.stage == Stage.CANARY else ""
    return f"trial {made.trial} of {made.challenger[:12]}: {made.stage.replace('_', ' ')}{share}"
