"""Which policy answers at a decision point: the champion, and beside it at most one challenger on trial.

Both are a fold of the promotion records of the point, in the order of the log, and of nothing else. Each record carries
its number there and names the champion that it was made under, so of two that were written against the same state the
first counts and the other changes nothing, on every node alike: there is one champion, whatever was killed when.
"""

from collections.abc import Iterable
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple

import msgspec

from federation.errors import Refused
from federation.policy.arms import BLOCK
from federation.policy.calibration import PointCalibration
from federation.policy.promotions import Promotion

SHARES = (0.05, 0.2, 0.5)
"""Of the units of a point: the steps of a canary."""

KEPT = 8
"""Champions before the one in force to which one can go back."""


class Stage(StrEnum):
    """How far a challenger has come. It decides nothing in the shadow, its share of the units as a canary, and
    everything as the champion; a trial that is rolled back was worse, one that is withdrawn was called off."""

    SHADOW = "shadow"
    CANARY = "canary"
    CHAMPION = "champion"
    ROLLED_BACK = "rolled_back"
    WITHDRAWN = "withdrawn"


class Trial(msgspec.Struct, frozen=True):
    """A challenger beside the champion. number: of the trial at this point, from 1. share: of the units that it
    decides about, 0 in the shadow. begun, since: ledger time (ns) of its first and of its newest step. block: length of
    the blocks of time that make its units, ns."""

    number: int
    challenger: str
    stage: Stage
    share: float
    begun: int
    since: int
    block: int = BLOCK


class Line(msgspec.Struct, frozen=True):
    """A point's champion and challenger. step: number of the newest promotion. trials: begun so far. champion: version
    of a policy; empty: what the settings name. before: the champions before it, the newest last. calibrations: by
    version, of the policies that it names and that came with one."""

    step: int = 0
    trials: int = 0
    champion: str = ""
    before: tuple[str, ...] = ()
    trial: Trial | None = None
    calibrations: dict[str, PointCalibration] = {}

    @property
    def named(self) -> set[str]:
        """Versions of the policies that it names."""
        return {self.champion, *self.before, *([self.trial.challenger] if self.trial else [])}


class Step(NamedTuple):
    """A stage with the share of the units in it."""

    stage: Stage
    share: float = 0.0


_PATH = (Step(Stage.SHADOW), *(Step(Stage.CANARY, share) for share in SHARES), Step(Stage.CHAMPION, 1.0))


def next_step(trial: Trial | None) -> Step:
    """Where a challenger comes from where it is; None: nowhere yet."""
    if trial is None:
        return _PATH[0]
    return next(step for step in _PATH if _height(step) > _height(Step(trial.stage, trial.share)))


def promotion(
    line: Line,
    challenger: str,
    to: Step,
    *,
    at: int,
    by: str,
    reason: str,
    number: int = 0,
    decision: str = "",
    calibration: PointCalibration | None = None,
    block: int = BLOCK,
) -> Promotion:
    """The record that takes a challenger there. number: of the step; 0: whichever is next. calibration: its own at the
    point. block: of a new trial, ns.

    Raises Refused where that does not follow from where the point stands.
    """
    trial = line.trials if line.trial is not None or to.stage is Stage.ROLLED_BACK else line.trials + 1
    made = Promotion(
        number=number or line.step + 1,
        trial=trial,
        challenger=challenger,
        champion=line.champion,
        stage=to.stage,
        share=to.share,
        calibration=calibration,
        by=by,
        reason=reason,
        decision=decision,
        at=at,
        block=block if line.trial is None else line.trial.block,
    )
    after(line, made)
    return made


def standing(promotions: Iterable[tuple[str, Promotion]]) -> dict[str, Line]:
    """Where each point stands, by name. promotions: each with its point, in the order of the log; one that does not
    follow from those before it changed nothing."""
    found: dict[str, Line] = {}
    for point, made in promotions:
        with suppress(Refused):
            found[point] = after(found.get(point, Line()), made)
    return found


def after(line: Line, made: Promotion) -> Line:
    """Where the point stands after this record.

    Raises Refused for one that does not follow: it was made against an older state, or leads nowhere.
    """
    if made.number != line.step + 1 or made.champion != line.champion:
        raise _refused(
            f"it is step {made.number} under champion `{_named(made.champion)}`, and step {line.step + 1} under "
            f"`{_named(line.champion)}` is next: somebody was faster"
        )
    if made.stage in (Stage.ROLLED_BACK, Stage.WITHDRAWN):
        return _back(line, made)
    return _forward(line, made)


def _forward(line: Line, made: Promotion) -> Line:
    """In the shadow, in a canary, or as the champion: a new trial, or the one that runs and goes further."""
    if made.stage not in {stage.value for stage in Stage}:
        raise _refused(f"this ELIAS knows no stage `{made.stage}`")
    running, to = line.trial, Step(Stage(made.stage), made.share)
    if not made.challenger or made.challenger == line.champion:
        raise _refused(f"`{_named(made.challenger)}` is the champion there already")
    if running is None and made.trial != line.trials + 1:
        raise _refused(f"trial {made.trial} does not run; the next one is {line.trials + 1}")
    if running is not None:
        if (made.trial, made.challenger) != (running.number, running.challenger):
            raise _refused(f"trial {running.number} of `{_named(running.challenger)}` runs there")
        if _height(to) <= _height(Step(running.stage, running.share)):
            raise _refused(f"the trial is in stage {running.stage} at {running.share:.0%} already")
    if to.stage is Stage.CANARY and not 0 < to.share < 1:
        raise _refused("a canary has a share between 0 and 1")
    known = line.calibrations
    if made.calibration is not None:
        known = {**known, made.challenger: made.calibration}
    if to.stage is Stage.CHAMPION:
        before = (*line.before, line.champion)[-KEPT:]
        return _kept(Line(made.number, made.trial, made.challenger, before, None, known))
    first = Trial(made.trial, made.challenger, to.stage, to.share, made.at, made.at, made.block)
    trial = msgspec.structs.replace(running or first, stage=to.stage, share=to.share, since=made.at)
    return _kept(Line(made.number, made.trial, line.champion, line.before, trial, known))


def _back(line: Line, made: Promotion) -> Line:
    """The trial that runs ends; without one the champion goes, and the one before it is back."""
    running = line.trial
    if running is not None:
        if (made.trial, made.challenger) != (running.number, running.challenger):
            raise _refused(f"trial {running.number} of `{_named(running.challenger)}` runs there")
        return _kept(Line(made.number, line.trials, line.champion, line.before, None, line.calibrations))
    if made.stage is Stage.WITHDRAWN or made.challenger != line.champion or not line.before:
        raise _refused("no trial runs there, and there is no champion before this one to go back to")
    *before, champion = line.before
    return _kept(Line(made.number, line.trials, champion, tuple(before), None, line.calibrations))


def _kept(line: Line) -> Line:
    """Without the calibrations of policies that it no longer names."""
    return msgspec.structs.replace(line, calibrations={v: c for v, c in line.calibrations.items() if v in line.named})


def _height(step: Step) -> tuple[int, float]:
    return (Stage.SHADOW, Stage.CANARY, Stage.CHAMPION).index(step.stage), step.share


def _named(version: str) -> str:
    return version[:12] or "of the settings"


def _refused(what: str) -> Refused:
    return Refused("promotion", what, cure="see `elias policy list`, and ask again")
