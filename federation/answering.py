"""Answers to decisions that wait: a person's, the policy's, an advisor's, and the one for which nobody came in time.

The world has gone on since such a decision was asked. So a choice is checked against the guards and candidates of now,
and asked again if it no longer holds.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from federation import decide
from federation.advisors.question import Advice, Question
from federation.cases import Case
from federation.counsel import Heard
from federation.errors import Bug, Refused
from federation.life import life_of
from federation.points import DecisionPoint
from federation.records import Answered, Asked, Effect, Event, Kind, Outcome, decode
from federation.replies import Reply, answered_reply, waiting_reply

if TYPE_CHECKING:
    from federation.desk import Desk

ATTEMPTS = 3  # an answer that no longer holds is asked again twice before the terminal action answers
REPORTED = 20_000  # outcomes that are remembered until they are on record; fewer are on their way there at a time


class Answering:
    """The part of a desk that closes its open cases."""

    def __init__(self, desk: "Desk") -> None:
        self._desk = desk
        self._reported: OrderedDict[str, float] = OrderedDict()  # rewards by decision, of which the ledger may not know

    def by_person(self, decision: str, action: str, args: Mapping[str, Any], by: str, words: str, now: int) -> Reply:
        """Raises Refused when there is no such case or the choice was not offered."""
        desk = self._desk
        case = desk.cases.open.get(decision)
        if case is None:
            raise Refused(
                "no-case",
                f"no open case `{decision}`",
                cure="`elias cases` lists the open ones; it may have been answered or timed out",
            )
        point = desk.points[case.point]
        asked = self.asked(case)
        offered = {i: asked.candidates[i] for i in decide.offered(asked, point.terminal)}
        wanted = next((i for i, c in offered.items() if decide.matching([c], action, args) is not None), None)
        if wanted is None:
            names = ", ".join(sorted({c.action for c in offered.values()}))
            raise Refused(
                "not-offered", f"`{action}` was not offered in case `{decision}`", cure=f"choose one of: {names}"
            )
        modes = desk.state.modes[point.name]
        answered = decide.by_person(asked.candidates, wanted, modes, case.clause, case.attempt, by, words)
        return self._close_if_it_holds(case, asked, answered, now)

    def by_policy(self, case: Case, heard: Heard, now: int) -> Reply:
        """What the policy said goes on record, and with it the answer, or who is to give one."""
        desk = self._desk
        point, program, asked = desk.points[case.point], desk.programs[case.point], self.asked(case)
        scored = desk.counsel.weigh(point, program, asked, heard, now)
        desk.add(Kind.SCORED, case.point, case.subject, case.decision, scored)
        desk.counsel.follow(point, case.decision, asked, scored)
        if scored.confidence is not None:
            desk.figures.sure(case.point, scored.confidence)
        modes = desk.state.modes[case.point]
        if scored.tier in ("advisor", "operator"):
            return waiting_reply(case)
        if scored.tier == "fallback":
            answer = decide.undecided(program, asked.candidates, case.clause, scored.reason, modes, case.attempt)
            assert isinstance(answer, Answered)
            return self._close(case, asked, answer, now)
        answered = decide.by_policy(asked.candidates, scored, modes, case.clause)
        return self._close_if_it_holds(case, asked, answered, now)

    def by_advisor(self, question: Question, advice: Advice, now: int) -> Reply | None:
        """What an advisor said goes on record, and with it the answer, unless a person is to give one. None: the
        decision was answered, or asked again, before this came; it changes nothing."""
        desk = self._desk
        point, asked = desk.points[question.point], question.asked
        case = desk.cases.advising.get(question.decision)
        if case is not None and case.attempt != asked.attempt:
            case = None
        advised = desk.counsel.heed(point, question, advice, case is None, now)
        desk.add(Kind.ADVISED, question.point, question.subject, question.decision, advised)
        if case is None:
            return None
        if advised.tier == "operator":
            return waiting_reply(case)
        answered = decide.by_advisor(asked.candidates, advised, desk.state.modes[point.name], case.clause)
        return self._close_if_it_holds(case, asked, answered, now)

    def by_time_out(self, case: Case, now: int) -> None:
        """The spec's `on_timeout` answers."""
        asked, modes = self.asked(case), self._desk.state.modes[case.point]
        program = self._desk.programs[case.point]
        self._close(case, asked, decide.timed_out(program, asked.candidates, modes, case.clause, case.attempt), now)

    def confirmed(self, decision: str, now: int) -> None:
        """An effect that a person confirmed goes back to the gate if it still holds in the state of now."""
        desk = self._desk
        records = desk.ledger.decision(decision)
        bodies = [(record.header.kind, decode(record.header.kind, record.body)) for record in reversed(records)]
        effect: Effect = next(body for kind, body in bodies if kind == Kind.EFFECT)
        if effect.verdict != "approved":
            return  # it went on before a restart
        asked: Asked = next(body for kind, body in bodies if kind == Kind.ASKED)
        header = records[0].header
        objection = self._objection(desk.points[header.point], asked.event, effect.action, effect.args, now)
        if objection:
            desk.add(Kind.OUTCOME, header.point, header.subject, decision, Outcome("refused", objection))
        else:
            reason = "confirmed and checked again"
            again = msgspec.structs.replace(effect, verdict="wanted", confirmed=True, at=now, reason=reason)
            desk.add(Kind.EFFECT, header.point, header.subject, decision, again)

    def report_outcome(self, decision: str, reward: float, words: str, by: str) -> Refused | None:
        """See `Desk.report_outcomes`. The same again is taken, and changes nothing."""
        desk = self._desk
        records = desk.ledger.decision(decision)
        life = life_of(records)
        if life is None or life.answered is None:
            return Refused("not-answered", f"no decision `{decision}` is answered", cure="say it when it is")
        if life.effects:
            what = f"decision `{decision}` has an effect, and whoever carries it out says what came of it"
            return Refused("has-effect", what, cure="say only what came of decisions without one")
        header = records[0].header
        point = desk.points.get(header.point)
        if point is None:
            return Refused("no-point", f"there is no decision point `{header.point}` any more")
        lower, upper = point.outcome.bounds
        if not lower <= reward <= upper:
            what = f"a reward of `{point.name}` is {lower:g} to {upper:g} ({point.outcome.unit}), and {reward:g} is not"
            return Refused("out-of-bounds", what, cure="say it in the unit of the point")
        if life.outcome is None and decision not in self._reported:
            desk.add(Kind.OUTCOME, header.point, header.subject, decision, Outcome("done", words, {"by": by}, reward))
            self._reported[decision] = reward
            if len(self._reported) > REPORTED:
                self._reported.popitem(last=False)
        elif (life.outcome.reward if life.outcome else self._reported[decision]) != reward:
            what = f"of decision `{decision}` something else was said before"
            return Refused("said-before", what, cure="the first word stays")
        return None

    def asked(self, case: Case) -> Asked:
        """The evidence of an open case."""
        desk = self._desk
        if case.decision in desk.counsel.asked:
            return desk.counsel.asked[case.decision]
        for record in reversed(desk.ledger.decision(case.decision)):
            if record.header.kind == Kind.ASKED:
                asked: Asked = decode(Kind.ASKED, record.body)
                return asked
        raise Bug(f"the open case {case.decision} has no asked record")

    def _close_if_it_holds(self, case: Case, asked: Asked, answered: Answered, now: int) -> Reply:
        """The answer, or the question anew if the state of now speaks against it."""
        point = self._desk.points[case.point]
        objection = ""
        if answered.action != point.terminal:
            objection = self._objection(point, asked.event, answered.action, answered.args, now)
        if objection:
            return self._again(case, asked, now, objection)
        return self._close(case, asked, answered, now)

    def _close(self, case: Case, asked: Asked, answered: Answered, now: int) -> Reply:
        desk = self._desk
        desk.add(Kind.ANSWERED, case.point, case.subject, case.decision, answered)
        desk.asking.want(desk.points[case.point], case.decision, asked, answered, confirmed=answered.tier == "operator")
        desk.recent.pop(case.decision, None)
        desk.drain(now)
        return answered_reply(case.decision, case.point, case.subject, answered)

    def _again(self, case: Case, before: Asked, now: int, why: str) -> Reply:
        """The choice does not hold any more: the question is put anew, or after some times the terminal action it
        is."""
        desk = self._desk
        point, attempt = desk.points[case.point], case.attempt
        if attempt + 1 >= ATTEMPTS:
            terminal = decide.find(before.candidates, point.terminal, {})
            reason = f"asked {ATTEMPTS} times; {why}"
            ended = Answered(terminal, point.terminal, {}, "fallback", case.clause, reason, "", attempt)
            return self._close(case, before, ended, now)
        situation = desk.situations.look(point, before.event, now)
        candidates = desk.situations.candidates(point, before.event, situation)
        latched = desk.state.latches.get(point.name, {}).get(case.subject)
        asked = desk.asking.asked(point, before.event, situation, candidates, now, before.latch, latched, attempt + 1)
        reason = f"asked again: {why}"
        closing = Answered(None, point.terminal, {}, "fallback", case.clause, reason, "", attempt)
        desk.add(Kind.ANSWERED, case.point, case.subject, case.decision, closing)
        tier = case.tier if case.tier == "operator" else before.waits  # where it began, with what is known now
        waits = decide.Waits(tier, case.clause, reason, tuple(before.offers))
        reply = desk.asking.record(point, case.decision, asked, waits)
        desk.recent.pop(case.decision, None)
        return reply

    def _objection(self, point: DecisionPoint, event: Event, action: str, args: Mapping[str, Any], now: int) -> str:
        """Why an action that was chosen a while ago must not be done now; empty if nothing speaks against it."""
        situations = self._desk.situations
        candidates = situations.candidates(point, event, situations.look(point, event, now))
        index = decide.matching(candidates, action, args)
        if index is None:
            return "it is no longer possible"
        guard = candidates[index].forbidden
        return f"{guard} forbids it now" if guard else ""
