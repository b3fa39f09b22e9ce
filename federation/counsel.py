"""The dealings of a desk with the policy: where it is asked, what was heard, how checks of its answers came out, and by
which calibration it may answer.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

import tiki
from federation import decide
from federation.manager import Emission
from federation.policy import exploration
from federation.policy.audit import Audit, resumed, step
from federation.policy.calibration import PointCalibration
from federation.policy.tier import Consult, Draws, Said, Standing, Tier, consult, unscored
from federation.records import Answered, Asked, Drift, Entry, Kind, Recalibrated, Scored

ABOVE = ("advisor", "operator")
"""The tiers above the policy, whose answers tell whether it was right."""


class Heard(NamedTuple):
    """What came of a consultation. offered: as it was asked. said: None when no engine answered; `problem` says why.
    draw, explore: uniform in [0, 1), whether its answer is checked, and what is explored."""

    offered: list[int]
    said: Said | None
    draw: float = 1.0
    problem: str = ""
    explore: float = 1.0


class CounselState(msgspec.Struct):
    """checks, drifts, calibrations: by point and version of the policy: how its answers stood up to checks, the newest
    promise that was broken, and the newest calibration on record. audited: by decision, what waits for a check.
    explored: by point, when (ledger time, ns) something was explored within the last day.
    """

    checks: dict[str, dict[str, Audit]] = {}
    audited: dict[str, Scored] = {}
    drifts: dict[str, dict[str, Drift]] = {}
    calibrations: dict[str, dict[str, PointCalibration]] = {}
    explored: dict[str, list[int]] = {}


class Counsel:
    """tier: the policy; without one what a spec leaves open waits for a person at once. asked: the decisions that wait
    for the policy, since this desk was made."""

    def __init__(self, tier: Tier | None, state: CounselState) -> None:
        self.tier = tier
        self.state = state
        self.asked: dict[str, Asked] = {}

    def first(self, program: tiki.Program, asked: Asked, verdict: decide.Waits) -> str:
        """The tier that is awaited. The policy is asked where it knows the point and there is something to choose."""
        if verdict.tier != "policy":
            return verdict.tier
        known = self.tier is not None and self.tier.covers(program)
        return "policy" if known and len(decide.offered(asked, program.point.terminal)) > 1 else "operator"

    def consult(self, program: tiki.Program, asked: Asked) -> Consult:
        """What is asked about a decision."""
        return consult(program, asked) if self.tier is None else self.tier.consult(program, asked)

    def weigh(self, program: tiki.Program, asked: Asked, heard: Heard, now: int) -> Scored:
        """Who answers, given what was heard."""
        if heard.said is None or self.tier is None or not self.tier.covers(program):
            tier = "operator" if program.fallback.action is None else "fallback"
            return unscored(asked, heard.problem or "there is no policy for this point", tier, now)
        point, policy = program.point.name, heard.said.policy
        watch = self.state.checks.get(point, {}).get(policy)
        explore = exploration.left(program.explore, self.state.explored.get(point, ()), now)
        standing = Standing(self.calibration(point, policy), watch, explore)
        draws = Draws(heard.draw, heard.explore)
        return self.tier.weigh(program, asked, heard.offered, heard.said, draws, standing, now)

    def calibration(self, point: str, policy: str) -> PointCalibration | None:
        """The one in force: the newest of the one that came with the policy and those on record."""
        shipped = None if self.tier is None else self.tier.calibration(point, policy)
        found = self.state.calibrations.get(point, {}).get(policy)
        known = [one for one in (found, shipped) if one is not None]
        return max(known, key=lambda one: one.times, default=None)

    def audits(self) -> dict[str, Audit]:
        """By point: of the policy whose checks came out worst, or that was checked most."""
        checks = self.state.checks.items()
        return {point: max(of.values(), key=lambda a: (a.broken, a.checked)) for point, of in checks}

    def emit(self, now: int) -> Iterator[Emission]:
        """A promise that turned out broken goes on record, once. now: ledger time (ns)."""
        for point, checks in self.state.checks.items():
            for policy, audit in checks.items():
                known = self.calibration(point, policy)
                if audit.broken and known is not None and not self._told(point, audit):
                    figures = (audit.times, audit.max_error, audit.checked, audit.wrong)
                    yield Emission(Kind.DRIFT, point, point, "", Drift(policy, known.version, *figures, now))

    def _told(self, point: str, audit: Audit) -> bool:
        told = self.state.drifts.get(point, {}).get(audit.policy)
        return told is not None and (told.calibration, told.max_error) == (audit.times, audit.max_error)

    # -- folding -----------------------------------------------------------------------------------------------------

    def fold_asked(self, decision: str, asked: Asked) -> None:
        if asked.waits == "policy":
            self.asked[decision] = asked

    def fold_scored(self, entry: Entry, scored: Scored) -> None:
        if scored.tier == "operator":
            self.asked.pop(entry.decision, None)
        if scored.audit:
            self.state.audited[entry.decision] = scored
        if scored.tier == "policy" and exploration.taken(scored) != scored.choice:
            times = exploration.spent(self.state.explored.get(entry.point, ()), scored.at)
            self.state.explored[entry.point] = [*times, scored.at]

    def fold_answered(self, entry: Entry, answered: Answered) -> None:
        """What the tier above answers in place of the policy says whether it was right."""
        self.asked.pop(entry.decision, None)
        scored = self.state.audited.pop(entry.decision, None)
        if scored is not None and answered.tier in ABOVE:
            checks = self.state.checks.setdefault(entry.point, {})
            audit = resumed(checks.get(scored.policy), scored.policy, scored.max_error, scored.calibration)
            checks[scored.policy] = step(audit, answered.choice != scored.choice)

    def fold_drift(self, entry: Entry, drift: Drift) -> None:
        self.state.drifts.setdefault(entry.point, {})[drift.policy] = drift

    def fold_calibration(self, entry: Entry, found: Recalibrated) -> None:
        """In force from here on: what is asked after this record is weighed by it."""
        self.state.calibrations.setdefault(entry.point, {})[found.policy] = found.calibration
