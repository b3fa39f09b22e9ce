"""The one decision path: a pure function from what was asked to what is answered.

`judge` sees nothing but the compiled program and the asked record's contents, so replay gives the same bytes on any
node.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tiki
from federation.clock import SECOND
from federation.policy.exploration import taken
from federation.records import Advised, Answered, Asked, Candidate, Scored
from tiki import Latch


class Waits(NamedTuple):
    """The spec leaves it open: for `tier`, or for the next one where that is not there. `reason` says why, for whoever
    answers it; `offers` which actions the spec names for the answer, beside the terminal one; none: any.
    """

    tier: str
    clause: str
    reason: str
    offers: tuple[str, ...] = ()


class Judged(NamedTuple):
    answer: Answered | Waits
    latched: Latch | None


def judge(
    program: tiki.Program,
    facts: tuple[Any, ...],
    held: tuple[bool | None, ...],
    latch: Latch | None,
    candidates: Sequence[Candidate],
    modes: dict[str, str],
    at: int,
    attempt: int = 0,
) -> Judged:
    """Answer by rule, or say which tier is awaited.

    facts: positional, in the order of the point's facts. held: truth of each window. modes: the mode of every action
    that has an effect. at: ledger time, ns.
    """
    verdict = program.decide(facts, held)
    latched, fires = program.latch(latch, verdict, at)
    terminal = program.point.terminal
    if not fires:
        since = latched.fired if latched else at
        return Judged(
            _terminal(candidates, terminal, verdict.clause, f"in force since {since // SECOND}", attempt), latched
        )
    if verdict.kind == "consult":
        reason = f"the spec consults on {', '.join(verdict.actions)}"
        return Judged(Waits("policy", verdict.clause, reason, verdict.actions), latched)
    if verdict.action is not None and verdict.kind == "act":
        if verdict.action == terminal:
            return Judged(_terminal(candidates, terminal, verdict.clause, "rule", attempt), latched)
        choice = find(candidates, verdict.action, verdict.args)
        if choice is not None:
            return Judged(_chosen(candidates, choice, "rule", verdict.clause, "rule", modes, attempt), latched)
        return Judged(
            undecided(program, candidates, verdict.clause, _why_none(candidates, verdict.action), modes, attempt),
            latched,
        )
    return Judged(undecided(program, candidates, verdict.clause, verdict.reason, modes, attempt), latched)


def find(candidates: Sequence[Candidate], action: str, args: dict[str, Any]) -> int | None:
    """The first candidate of that action that is offered and carries these arguments."""
    for index, candidate in enumerate(candidates):
        if (
            candidate.action == action
            and candidate.forbidden is None
            and (not args or all(candidate.args.get(k) == v for k, v in args.items()))
        ):
            return index
    return None


def matching(candidates: Sequence[Candidate], action: str, args: Mapping[str, Any]) -> int | None:
    """The first candidate of that action that carries these arguments, offered or not."""
    for index, candidate in enumerate(candidates):
        if candidate.action == action and all(candidate.args.get(k) == v for k, v in args.items()):
            return index
    return None


def offered(asked: Asked, terminal: str) -> list[int]:
    """The candidates that whoever answers may choose: what the spec named, less what a guard took out; always the
    terminal action.
    """
    allowed = {*asked.offers, terminal} if asked.offers else {c.action for c in asked.candidates}
    return [i for i, c in enumerate(asked.candidates) if c.forbidden is None and c.action in allowed]


def timed_out(
    program: tiki.Program, candidates: Sequence[Candidate], modes: dict[str, str], clause: str, attempt: int
) -> Answered:
    """Nobody answered in time: the spec's `on_timeout`, by default the terminal action. A time-out never approves."""
    action = program.on_timeout
    choice = find(candidates, action, {})
    if action == program.point.terminal or choice is None:
        return _terminal(candidates, program.point.terminal, clause, "nobody answered in time", attempt, tier="timeout")
    return _chosen(candidates, choice, "timeout", clause, "nobody answered in time", modes, attempt)


def by_policy(
    candidates: Sequence[Candidate],
    scored: Scored,
    modes: Mapping[str, str],
    clause: str,
) -> Answered:
    """The policy's answer, sure enough to be taken. `by` is its version."""
    choice = taken(scored)
    candidate = candidates[choice]
    mode = modes.get(candidate.action, "")
    reason, attempt = scored.reason, scored.attempt
    return Answered(choice, candidate.action, candidate.args, "policy", clause, reason, mode, attempt, scored.policy)


def by_advisor(candidates: Sequence[Candidate], advised: Advised, modes: Mapping[str, str], clause: str) -> Answered:
    """An advisor's answer, taken. `by` is its model, `words` its reason."""
    assert advised.choice is not None, "no advisor has chosen"
    candidate = candidates[advised.choice]
    mode = modes.get(candidate.action, "")
    said = (advised.reason, mode, advised.attempt, advised.model, advised.words)
    return Answered(advised.choice, candidate.action, candidate.args, "advisor", clause, *said)


def by_person(
    candidates: Sequence[Candidate], choice: int, modes: dict[str, str], clause: str, attempt: int, by: str, words: str
) -> Answered:
    """An operator's answer, already checked against the guards of now. It is the confirmation that `approve` asks
    for.
    """
    candidate = candidates[choice]
    mode = modes.get(candidate.action, "")
    return Answered(
        choice, candidate.action, candidate.args, "operator", clause, "answered by a person", mode, attempt, by, words
    )


def undecided(
    program: tiki.Program,
    candidates: Sequence[Candidate],
    clause: str,
    reason: str,
    modes: dict[str, str],
    attempt: int,
) -> Answered | Waits:
    """Neither a rule nor, where one was consulted, any engine has decided: the spec's `fallback`."""
    fallback = program.fallback
    if fallback.action is None:
        tier = fallback.tier or "operator"
        return Waits(tier, clause, f"{reason}; the spec falls back to the tier {tier}")
    choice = find(candidates, fallback.action, fallback.args)
    if fallback.action == program.point.terminal or choice is None:
        return _terminal(candidates, program.point.terminal, clause, reason, attempt, tier="fallback")
    return _chosen(candidates, choice, "fallback", clause, reason, modes, attempt)


def _chosen(
    candidates: Sequence[Candidate],
    choice: int,
    tier: str,
    clause: str,
    reason: str,
    modes: dict[str, str],
    attempt: int,
) -> Answered:
    candidate = candidates[choice]
    return Answered(
        choice, candidate.action, candidate.args, tier, clause, reason, modes.get(candidate.action, ""), attempt
    )


def _terminal(
    candidates: Sequence[Candidate], terminal: str, clause: str, reason: str, attempt: int, tier: str = "rule"
) -> Answered:
    return Answered(find(candidates, terminal, {}), terminal, {}, tier, clause, reason, "", attempt)


def _why_none(candidates: Sequence[Candidate], action: str) -> str:
    guards = sorted({c.forbidden for c in candidates if c.action == action and c.forbidden})
    return f"{action} is forbidden by {', '.join(guards)}" if guards else f"there is no candidate for {action}"
