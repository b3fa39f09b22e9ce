"""Questions: an event becomes an asked record, and where a rule settles it an answered one with what it wants done."""

from typing import TYPE_CHECKING

import msgspec

import tiki
from federation import decide
from federation.clock import SECOND
from federation.points import DecisionPoint
from federation.records import Answered, Asked, Candidate, Effect, Event, Kind
from federation.replies import Reply, answered_reply, waiting_reply
from federation.situation import Situation
from tiki import Latch

if TYPE_CHECKING:
    from federation.desk import Desk

RECENT = 4096  # decisions whose reply is kept for a sender that repeats itself; older ones are read from the ledger


class Asking:
    """The part of a desk that opens decisions; `Answering` closes those that wait."""

    def __init__(self, desk: "Desk") -> None:
        self._desk = desk

    def ask(self, point: DecisionPoint, event: Event, now: int, decision: str, *, quiet: bool = False) -> Reply | None:
        """Decide an event at a point. quiet: only where that changes what is in force; else None."""
        desk = self._desk
        program = desk.programs[point.name]
        situation = desk.situations.look(point, event, now)
        latch = desk.state.latches.get(point.name, {}).get(event.subject)
        if quiet and self._looked(point, event) and _in_force(program, situation, latch, now):
            return None
        candidates = desk.situations.candidates(point, event, situation)
        _, facts, held = situation
        modes = desk.state.modes[point.name]
        verdict, latched = decide.judge(program, facts, held, latch, candidates, modes, now)
        asked = self.asked(point, event, situation, candidates, now, latch, latched)
        reply = self.record(point, decision, asked, verdict)
        desk.recent[decision] = (event, reply)
        if len(desk.recent) > RECENT:
            desk.recent.popitem(last=False)
        return reply

    def _looked(self, point: DecisionPoint, event: Event) -> bool:
        """Whether a subject was decided about before; the first look at it is put on record, whatever it finds."""
        return not point.greets or event.subject in self._desk.state.looked.get(point.name, {})

    def asked(
        self,
        point: DecisionPoint,
        event: Event,
        situation: Situation,
        candidates: list[Candidate],
        now: int,
        latch: Latch | None,
        latched: Latch | None,
        attempt: int = 0,
    ) -> Asked:
        """latch, latched: what is in force for the subject before and after."""
        desk = self._desk
        facts = desk.programs[point.name].to_mapping(situation.facts)
        held, set_ = list(situation.held), desk.state.modes[point.name]
        modes = {c.action: set_[c.action] for c in candidates if c.action in set_}
        digest, version = desk.bundle.digest, point.schema.version
        return Asked(event, facts, held, latch, latched, candidates, digest, version, now, modes, attempt)

    def record(self, point: DecisionPoint, decision: str, asked: Asked, verdict: Answered | decide.Waits) -> Reply:
        """Put on record what was asked, and the answer with what it wants done, or who is to give one by when."""
        desk, subject = self._desk, asked.event.subject
        if isinstance(verdict, decide.Waits):
            program = desk.programs[point.name]
            until = asked.at + round(program.timeout * SECOND)
            asked = msgspec.structs.replace(
                asked,
                until=until,
                clause=verdict.clause,
                reason=verdict.reason,
                offers=list(verdict.offers),
            )
            asked = msgspec.structs.replace(asked, waits=desk.counsel.first(point, program, asked, verdict))
            desk.add(Kind.ASKED, point.name, subject, decision, asked)
            return waiting_reply(desk.cases.open[decision])
        desk.add(Kind.ASKED, point.name, subject, decision, asked)
        desk.add(Kind.ANSWERED, point.name, subject, decision, verdict)
        self.want(point, decision, asked, verdict)
        return answered_reply(decision, point.name, subject, verdict)

    def want(
        self, point: DecisionPoint, decision: str, asked: Asked, answered: Answered, *, confirmed: bool = False
    ) -> None:
        """Ask the gate for the effect of an answer, if it has one. confirmed: a person gave it."""
        if answered.mode in ("", "observe"):
            return
        desk = self._desk
        does = point.effects[answered.action]
        node, groups, payload = desk.manager.target(point, asked, answered)
        effect = Effect(
            verdict="wanted",
            action=answered.action,
            args=answered.args,
            executor=does.executor,
            node=node,
            mode=answered.mode,
            lifetime=does.expires,
            payload=dict(payload),
            groups=groups,
            disruptive=does.disruptive,
            confirmed=confirmed,
            at=asked.at,
        )
        desk.add(Kind.EFFECT, point.name, asked.event.subject, decision, effect)


def _in_force(program: tiki.Program, situation: Situation, latch: Latch | None, now: int) -> bool:
    """Whether deciding now would change nothing: the same clause stays in force, or nothing is and nothing is done."""
    verdict = program.decide(situation.facts, situation.held)
    after, fires = program.latch(latch, verdict, now)
    settled = verdict.kind == "act" and verdict.action == program.point.terminal
    return after == latch and (not fires or settled)
