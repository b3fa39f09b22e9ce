"""The dealings of a desk with the policy: where it is asked, what was heard, and how checks of its answers came out."""

from typing import NamedTuple

import msgspec

import tiki
from federation import decide
from federation.policy.audit import Audit, resumed, step
from federation.policy.tier import Consult, Said, Tier, consult, unscored
from federation.records import Answered, Asked, Entry, Scored


class Heard(NamedTuple):
    """What came of a consultation. offered: as it was asked. said: None when no engine answered; `problem` says why.
    draw: uniform in [0, 1)."""

    offered: list[int]
    said: Said | None
    draw: float = 1.0
    problem: str = ""


class CounselState(msgspec.Struct):
    """audits: by point, how the policy's answers stood up to checks. audited: by decision, what waits for one."""

    audits: dict[str, Audit] = {}
    audited: dict[str, Scored] = {}


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
        watch = self.state.audits.get(program.point.name)
        return self.tier.weigh(program, asked, heard.offered, heard.said, heard.draw, watch, now)

    def fold_asked(self, decision: str, asked: Asked) -> None:
        if asked.waits == "policy":
            self.asked[decision] = asked

    def fold_scored(self, entry: Entry, scored: Scored) -> None:
        if scored.tier == "operator":
            self.asked.pop(entry.decision, None)
        if scored.audit:
            self.state.audited[entry.decision] = scored

    def fold_answered(self, entry: Entry, answered: Answered) -> None:
        """A person's answer to what the policy would have answered says whether it was right."""
        self.asked.pop(entry.decision, None)
        scored = self.state.audited.pop(entry.decision, None)
        if scored is not None and answered.tier == "operator":
            known = self.state.audits.get(entry.point)
            audit = resumed(known, scored.policy, scored.max_error, scored.calibration)
            self.state.audits[entry.point] = step(audit, answered.choice != scored.choice)
