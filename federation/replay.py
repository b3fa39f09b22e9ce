"""Replays the ledger: every decision is computed again from its asked record, and must come out byte for byte.

A rule's answer is judged anew under the bundle that was in force; the policy's follows from the scores on record, an
advisor's from its word there; a person's or a time-out's is checked for what it may be: taken from what was asked,
under that bundle or one put in force while the case waited. `federation.rescore` is the other question: what an
engine would say today. Needs the decision points of the versions that the ledger names, and nothing else.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

import tiki
from federation import decide
from federation.errors import Corrupt, Refused
from federation.ledger.store import Store
from federation.points import DecisionPoint, schemas, versions
from federation.policy.promotions import Promotion
from federation.policy.registry import Line, after
from federation.records import Advised, Answered, Asked, BundleText, Kind, Record, Scored, decode, encode


class Difference(msgspec.Struct, frozen=True):
    seq: int
    decision: str
    recorded: str
    replayed: str


class Replayed(msgspec.Struct):
    """decisions: answered ones. by_rule: of these, judged anew. waiting: asked and not answered yet."""

    decisions: int = 0
    by_rule: int = 0
    by_others: int = 0
    waiting: int = 0
    differences: list[Difference] = []

    @property
    def identical(self) -> bool:
        return not self.differences


def replay(
    store: Store, points: Mapping[str, DecisionPoint], progress: Callable[[int, int], None] = lambda done, total: None
) -> Replayed:
    """Raises Refused when the ledger was written with other versions of the points than are installed, and Corrupt when
    its records do not belong together.
    """
    total = store.head().size
    found = Replayed()
    bundles: list[tuple[str, tiki.Bundle]] = []
    open_: dict[tuple[str, int], _Asked] = {}
    scored: dict[tuple[str, int], Scored] = {}
    advised: dict[tuple[str, int], Advised] = {}
    lines: dict[str, Line] = {}
    for record in store.read(kinds=_KINDS):
        header = record.header
        body = _decoded(record)
        if header.kind == Kind.BUNDLE:
            with suppress(tiki.Invalid):  # somebody has put it on record past the gate; nobody decided by it
                bundles.append((body.digest, bundle_of(body, points, header.seq)))
        elif header.kind == Kind.ASKED:
            bundle = next((b for digest, b in reversed(bundles) if digest == body.bundle), None)
            if bundle is None:
                raise _not_whole(header.seq, "names a bundle that was never in force")
            open_[header.decision, header.attempt] = _Asked(body, bundle, len(bundles))
        elif header.kind == Kind.PROMOTION:
            _promoted(record, body, lines, found)
        elif header.kind == Kind.SCORED:
            scored[header.decision, header.attempt] = body
        elif header.kind == Kind.ADVISED:
            if body.tier != "late":
                advised[header.decision, header.attempt] = body
        else:
            asked = open_.pop((header.decision, header.attempt), None)
            if asked is None:
                raise _not_whole(header.seq, "answers what was not asked")
            later = [bundle for _, bundle in bundles[asked.position :]]
            key = (header.decision, header.attempt)
            said = _Said(scored.pop(key, None), advised.pop(key, None))
            _compare(record, body, asked.body, said, [asked.bundle, *later], found)
        if header.seq % 1000 == 0:
            progress(header.seq, total)
    progress(total, total)
    found.waiting = len(open_)
    return found


_KINDS = (Kind.BUNDLE, Kind.ASKED, Kind.SCORED, Kind.ADVISED, Kind.ANSWERED, Kind.PROMOTION)


def _promoted(record: Record, made: Promotion, lines: dict[str, Line], found: Replayed) -> None:
    """A promotion that does not follow from those before it changed nothing, and should not be there."""
    header = record.header
    try:
        lines[header.point] = after(lines.get(header.point, Line()), made)
    except Refused as error:
        found.differences.append(Difference(header.seq, header.decision, record.body.decode(), error.message))


class _Asked(NamedTuple):
    """bundle: under which it was asked; position: how many were on record by then."""

    body: Asked
    bundle: tiki.Bundle
    position: int


class _Said(NamedTuple):
    """What was said before the answer."""

    scored: Scored | None
    advised: Advised | None


def _decoded(record: Record) -> Any:
    try:
        return decode(record.header.kind, record.body)
    except msgspec.MsgspecError:
        raise _not_whole(record.header.seq, "cannot be read") from None


def _not_whole(seq: int, what: str) -> Corrupt:
    return Corrupt(f"record {seq} {what}; `elias ledger verify` names the first record that was changed")


def bundle_of(text: BundleText, points: Mapping[str, DecisionPoint], seq: int) -> tiki.Bundle:
    """The bundle that the record with that number put in force. Raises Refused where a point has changed since."""
    here = versions({name: points[name] for name in text.versions if name in points})
    if here != text.versions:
        other = sorted(name for name in text.versions if here.get(name) != text.versions[name])
        raise Refused(
            "replay-versions",
            f"record {seq} was written with other versions of {', '.join(other)}",
            cure="replay it with the ELIAS that wrote it",
        )
    return tiki.rebuild(text.sources, schemas({name: points[name] for name in text.versions}))


def _compare(
    record: Record,
    answered: Answered,
    asked: Asked,
    said: _Said,
    bundles: list[tiki.Bundle],
    found: Replayed,
) -> None:
    found.decisions += 1
    programs = [bundle.programs[record.header.point] for bundle in bundles]
    if asked.waits:
        found.by_others += 1
        possible = [_by_others(program, asked, said, answered) for program in programs]
    else:
        found.by_rule += 1
        possible = [_by_rule(programs[0], asked)]
    if record.body not in possible:
        found.differences.append(
            Difference(record.header.seq, record.header.decision, record.body.decode(), possible[0].decode())
        )


def _by_rule(program: tiki.Program, asked: Asked) -> bytes:
    facts, held = program.facts_from(asked.facts), tuple(asked.held)
    judged = decide.judge(program, facts, held, asked.latch, asked.candidates, asked.modes, asked.at, asked.attempt)
    return encode(judged.answer) if isinstance(judged.answer, Answered) else b"waits"


def _by_others(program: tiki.Program, asked: Asked, said: _Said, answered: Answered) -> bytes:
    """The answer as it may have been given: mode and words are the recorded ones, everything else follows from what was
    asked, scored and chosen.
    """
    scored, advised = said
    candidates, terminal = asked.candidates, program.point.terminal
    modes = {action: answered.mode for action in asked.modes if action == answered.action}
    if answered.tier == "timeout":
        return encode(decide.timed_out(program, candidates, modes, asked.clause, asked.attempt))
    if answered.tier == "fallback" and scored is not None and scored.tier == "fallback":
        answer = decide.undecided(program, candidates, asked.clause, scored.reason, modes, asked.attempt)
        return encode(answer) if isinstance(answer, Answered) else b"waits"
    if answered.tier == "fallback":  # asked again, or too often
        choice = None if answered.choice is None else decide.find(candidates, terminal, {})
        return encode(Answered(choice, terminal, {}, "fallback", asked.clause, answered.reason, "", asked.attempt))
    if answered.choice not in decide.offered(asked, terminal):
        return b"not offered"
    if answered.tier == "policy":
        sure = scored is not None and scored.tier == "policy"
        return encode(decide.by_policy(candidates, scored, modes, asked.clause)) if scored and sure else b"not sure"
    if answered.tier == "advisor":
        taken = advised is not None and advised.tier == "advisor"
        return (
            encode(decide.by_advisor(candidates, advised, modes, asked.clause)) if advised and taken else b"not taken"
        )
    by, words = answered.by, answered.words
    return encode(decide.by_person(candidates, answered.choice, modes, asked.clause, asked.attempt, by, words))
