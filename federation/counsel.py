"""The dealings of a desk with the policy and the advisors: where they are asked, what was heard, how checks of the
policy's answers came out, and by which calibration it may answer.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import msgspec

import tiki
from federation import decide
from federation.advisors.question import Advice, Question
from federation.advisors.settings import AdvisorSettings
from federation.errors import Refused
from federation.manager import Emission
from federation.points import DecisionPoint
from federation.policy import exploration
from federation.policy.audit import ABOVE, Audit, resumed, step
from federation.policy.calibration import PointCalibration, percent
from federation.policy.promotions import Promotion, Shadowed
from federation.policy.registry import Line, after
from federation.policy.shadow import Overheard, Shadow, on_trial
from federation.policy.tier import Consult, Draws, Said, Standing, Tier, Turn, consult, unscored
from federation.policy.turns import turn
from federation.records import Advised, Answered, Asked, Drift, Entry, Kind, Recalibrated, Scored


class Heard(NamedTuple):
    """What came of a consultation. offered, turn: as it was asked. said: None when no engine answered; `problem` says
    why. draw, explore: uniform in [0, 1), whether its answer is checked, and what is explored."""

    offered: list[int]
    said: Said | None
    draw: float = 1.0
    problem: str = ""
    explore: float = 1.0
    turn: Turn = Turn()


class CounselState(msgspec.Struct):
    """checks, drifts, calibrations: by point and version of the policy: how its answers stood up to checks, the newest
    promise that was broken, and the newest calibration on record. audited: by decision, what waits for a check.
    explored: by point, when (ledger time, ns) something was explored within the last day. opinions: by decision, what
    the policy said to what waits for an advisor. lines: by point at which one was ever promoted, champion and
    challenger.
    """

    checks: dict[str, dict[str, Audit]] = {}
    audited: dict[str, Scored] = {}
    drifts: dict[str, dict[str, Drift]] = {}
    calibrations: dict[str, dict[str, PointCalibration]] = {}
    explored: dict[str, list[int]] = {}
    opinions: dict[str, Scored] = {}
    lines: dict[str, Line] = {}


class Counsel:
    """tier: the policy. advisors: who is asked next; without both what a spec leaves open waits for a person at once.
    asked: the decisions that wait for one of them, since this desk was made."""

    def __init__(self, tier: Tier | None, state: CounselState, advisors: AdvisorSettings) -> None:
        self.tier = tier
        self.advisors = advisors
        self.state = state
        self.asked: dict[str, Asked] = {}
        self.shadow = Shadow()

    def first(self, point: DecisionPoint, program: tiki.Program, asked: Asked, verdict: decide.Waits) -> str:
        """The tier that is awaited. The policy and advisors are asked where there is something to choose, the policy
        where it knows the point."""
        if verdict.tier == "operator" or len(decide.offered(asked, point.terminal)) < 2:
            return "operator"
        known = verdict.tier == "policy" and self._covers(point, program)
        return "policy" if known else self.above(point)

    def _covers(self, point: DecisionPoint, program: tiki.Program) -> bool:
        """Whether some policy was calibrated for this version of the point."""
        line = self.state.lines.get(point.name)
        promoted = line is not None and any(one.version == program.point.version for one in line.calibrations.values())
        return self.tier is not None and (promoted or self.tier.covers(program))

    def above(self, point: DecisionPoint) -> str:
        """Who is asked where the policy has nothing to say. At a critical point an advisor alone does not decide."""
        return "advisor" if self.advisors.asks(point.name) and not point.critical else "operator"

    def consult(self, point: DecisionPoint, program: tiki.Program, asked: Asked) -> Consult:
        """What is asked about a decision, and whom."""
        found = consult(program, asked) if self.tier is None else self.tier.consult(program, asked)
        line = self.state.lines.get(point.name)
        return found if line is None else found._replace(turn=turn(point, line, asked))

    def weigh(self, at: DecisionPoint, program: tiki.Program, asked: Asked, heard: Heard, now: int) -> Scored:
        """Who answers, given what was heard."""
        if heard.said is None or self.tier is None or not self._covers(at, program):
            tier = "fallback"
            if program.fallback.action is None:
                tier = self.above(at) if program.fallback.tier == "advisor" else "operator"
            return unscored(asked, heard.problem or "there is no policy for this point", tier, now, heard.turn)
        point, policy = at.name, heard.said.policy
        watch = self.state.checks.get(point, {}).get(policy)
        explore = 0.0 if at.critical else exploration.left(program.explore, self.state.explored.get(point, ()), now)
        standing = Standing(self.calibration(point, policy), watch, explore)
        draws = Draws(heard.draw, heard.explore)
        scored = self.tier.weigh(program, asked, heard.offered, heard.said, draws, standing, now)
        if heard.said.instead:
            scored = msgspec.structs.replace(scored, reason=f"{heard.said.instead}; {scored.reason}")
        if heard.turn.lot is not None:
            scored = msgspec.structs.replace(scored, lot=heard.turn.lot)
        return self._passed_on(at, scored)

    def _passed_on(self, point: DecisionPoint, scored: Scored) -> Scored:
        """Who answers where the policy does not do so alone: it is not sure, its answer is drawn for a check, or the
        point is critical. In the last two cases an advisor has to agree with it."""
        reason = scored.reason
        if scored.tier == "policy" and point.critical:
            reason += "; the point is critical, so an advisor has to agree"
            scored = msgspec.structs.replace(scored, tier="operator", propensities=[], draw=1.0)
        elif scored.tier == "policy":
            return scored
        elif point.critical and not scored.audit:
            return msgspec.structs.replace(scored, reason=f"{reason}; the point is critical, so a person decides")
        if not self.advisors.asks(point.name):
            return msgspec.structs.replace(scored, reason=f"{reason}; there is no advisor for this point")
        return msgspec.structs.replace(scored, tier="advisor", reason=reason)

    # -- challengers -------------------------------------------------------------------------------------------------

    def follow(self, point: DecisionPoint, decision: str, asked: Asked, scored: Scored) -> None:
        """After the champion's word: a challenger in the shadow is to be asked too."""
        if on_trial(self.state.lines.get(point.name)) is not None:
            self.shadow.add(decision, point.name, asked, scored)

    def in_shadow(self, program: tiki.Program, asked: Asked) -> Consult | None:
        """What the challenger is asked; None: none stands in the shadow any more."""
        trial = on_trial(self.state.lines.get(program.point.name))
        if trial is None:
            return None
        return consult(program, asked)._replace(turn=Turn((trial.challenger,)))

    def overheard(self, program: tiki.Program, one: Overheard, said: Said | None, now: int) -> Shadowed | None:
        """What goes on record of a challenger's word; None: it was not the challenger that spoke."""
        trial = on_trial(self.state.lines.get(one.point))
        if self.tier is None or said is None or trial is None or said.policy != trial.challenger:
            self.shadow.dropped += 1
            return None
        offered = decide.offered(one.asked, program.point.terminal)
        standing = Standing(self.calibration(one.point, said.policy))
        scored = self.tier.weigh(program, one.asked, offered, said, Draws(), standing, now)
        assert scored.choice is not None
        assert scored.confidence is not None
        return Shadowed(
            trial=trial.number,
            policy=said.policy,
            choice=scored.choice,
            confidence=scored.confidence,
            alone=scored.tier == "policy",
            agrees=scored.choice == one.choice,
            at=now,
            attempt=one.asked.attempt,
        )

    def trials(self) -> dict[str, tuple[str, float]]:
        """By point: the stage of the trial that runs, and the challenger's share of the units."""
        lines = self.state.lines.items()
        return {point: (line.trial.stage.value, line.trial.share) for point, line in lines if line.trial is not None}

    def explored(self, now: int) -> dict[str, int]:
        """By point: answers within the last day by which something was explored."""
        return {point: len(exploration.spent(times, now)) for point, times in self.state.explored.items()}

    # -- promises ----------------------------------------------------------------------------------------------------

    def calibration(self, point: str, policy: str) -> PointCalibration | None:
        """The one in force: the newest of the one that came with the policy and those on record."""
        shipped = None if self.tier is None else self.tier.calibration(point, policy)
        line = self.state.lines.get(point)
        promoted = None if line is None else line.calibrations.get(policy)
        found = self.state.calibrations.get(point, {}).get(policy)
        known = [one for one in (found, promoted, shipped) if one is not None]
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
                    yield Emission(
                        Kind.DRIFT, point, point, "", Drift(policy, known.version, *figures, now, audit.since)
                    )

    def _told(self, point: str, audit: Audit) -> bool:
        told = self.state.drifts.get(point, {}).get(audit.policy)
        return told is not None and (told.calibration, told.max_error) == (audit.times, audit.max_error)

    # -- advisors ----------------------------------------------------------------------------------------------------

    def heed(self, point: DecisionPoint, question: Question, advice: Advice, late: bool, now: int) -> Advised:
        """Who answers, given what an advisor said. late: somebody has answered before."""
        scored, spent = question.scored, advice.spent
        tier, reason = "operator", ""
        if late:
            tier, reason = "late", "it came after the answer"
        elif advice.problem:
            reason = f"no advisor answered: {advice.problem}"
        elif advice.choice is None or advice.confidence is None:
            reason = f"{advice.model} asks for a person"
        elif advice.confidence < self.advisors.min_confidence:
            least = percent(self.advisors.min_confidence)
            reason = f"{advice.model} is {percent(advice.confidence)} sure, and an advisor decides from {least} on"
        elif scored is not None and (point.critical or scored.audit):
            agreed = scored.choice == advice.choice
            tier = "advisor" if agreed else "operator"
            reason = f"the policy and {advice.model} {'agree' if agreed else 'do not agree'}"
        else:
            tier, reason = "advisor", f"{advice.model} is {percent(advice.confidence)} sure"
        return Advised(
            provider=advice.provider,
            model=advice.model,
            offered=decide.offered(question.asked, point.terminal),
            choice=advice.choice,
            confidence=advice.confidence,
            words=advice.words,
            tier=tier,
            reason=reason,
            at=now,
            attempt=question.asked.attempt,
            brief=advice.brief,
            calls=spent.calls,
            input_tokens=spent.input_tokens,
            cached_tokens=spent.cached_tokens,
            output_tokens=spent.output_tokens,
            cost=round(spent.cost, 6),
            seconds=round(advice.seconds, 3),
        )

    # -- folding -----------------------------------------------------------------------------------------------------

    def fold_asked(self, decision: str, asked: Asked) -> None:
        if asked.waits in ("policy", "advisor"):
            self.asked[decision] = asked

    def fold_scored(self, entry: Entry, scored: Scored) -> None:
        if scored.tier == "operator":
            self.asked.pop(entry.decision, None)
        if scored.tier == "advisor":
            self.state.opinions[entry.decision] = scored
        if scored.audit:
            self.state.audited[entry.decision] = scored
        if scored.tier == "policy" and exploration.taken(scored) != scored.choice:
            times = exploration.spent(self.state.explored.get(entry.point, ()), scored.at)
            self.state.explored[entry.point] = [*times, scored.at]

    def fold_advised(self, entry: Entry, advised: Advised) -> None:
        if advised.tier != "late":
            self.asked.pop(entry.decision, None)
            self.state.opinions.pop(entry.decision, None)

    def fold_answered(self, entry: Entry, answered: Answered) -> None:
        """What the tier above answers in place of the policy says whether it was right."""
        self.asked.pop(entry.decision, None)
        self.state.opinions.pop(entry.decision, None)
        scored = self.state.audited.pop(entry.decision, None)
        if scored is None or answered.tier not in ABOVE:
            return
        checks = self.state.checks.setdefault(entry.point, {})
        known = checks.get(scored.policy)
        if known is None or scored.calibration >= known.times:  # else it was asked before the calibration in force
            audit = resumed(known, scored.policy, scored.max_error, scored.calibration)
            checks[scored.policy] = step(audit, answered.choice != scored.choice, scored.at)

    def fold_drift(self, entry: Entry, drift: Drift) -> None:
        self.state.drifts.setdefault(entry.point, {})[drift.policy] = drift

    def fold_promotion(self, entry: Entry, made: Promotion) -> None:
        """One that does not follow changes nothing: `elias replay` says so."""
        with suppress(Refused):
            self.state.lines[entry.point] = after(self.state.lines.get(entry.point, Line()), made)

    def fold_calibration(self, entry: Entry, found: Recalibrated) -> None:
        """In force from here on: what is heard after this record is weighed by it, and checks begin anew."""
        self.state.calibrations.setdefault(entry.point, {})[found.policy] = found.calibration
        checks = self.state.checks.get(entry.point, {})
        known = checks.get(found.policy)
        if known is not None:
            checks[found.policy] = resumed(known, found.policy, known.max_error, found.calibration.times)
