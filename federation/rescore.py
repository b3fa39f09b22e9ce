"""Asks an engine again what the policy was asked: which choices would be others today.

A replay takes the scores as recorded, for engines agree with each other, and with themselves under other loads, only to
some digits. Here is seen how far that goes, or how another policy would have chosen.
"""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec

import tiki
from federation.ledger.store import Store
from federation.points import DecisionPoint
from federation.policy.question import Engine
from federation.policy.tier import Consult, Said, Tier
from federation.records import Asked, Kind, Scored, decode
from federation.replay import bundle_of

BATCH = 64
DEADLINE = 30.0  # seconds for a batch


class Flip(msgspec.Struct, frozen=True):
    """A choice that would be another one. recorded, rescored: action and probability."""

    seq: int
    decision: str
    point: str
    recorded: tuple[str, float]
    rescored: tuple[str, float]


class Rescored(msgspec.Struct):
    """scored: questions asked again. other: of these, by another policy than the engine's. apart: the largest
    difference of a probability. flips: of choices."""

    policy: str
    scored: int = 0
    other: int = 0
    apart: float = 0.0
    flips: list[Flip] = []


class _Question(NamedTuple):
    seq: int
    decision: str
    point: str
    asked: Asked
    scored: Scored
    consult: Consult


def rescore(
    store: Store,
    points: Mapping[str, DecisionPoint],
    engine: Engine,
    tier: Tier,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Rescored:
    """tier: which points have a model of numbers as their default.

    Raises Refused when the ledger was written with other versions of the points, Temporary if no engine answers.
    """
    total = store.head().size
    found = Rescored(engine.version)
    for batch in _batches(_questions(store, points, tier)):
        asked = [question.consult.prompt for question in batch if question.consult.at_once is None]
        scores = iter(asyncio.run(engine.score(asked, DEADLINE)))
        for question in batch:
            said = question.consult.at_once or Said(engine.version, "", next(scores))
            _compare(question, said, found)
        progress(batch[-1].seq, total)
    progress(total, total)
    return found


def _questions(store: Store, points: Mapping[str, DecisionPoint], tier: Tier) -> Iterator[_Question]:
    bundles: dict[str, tiki.Bundle] = {}
    waiting: dict[tuple[str, int], Asked] = {}
    for record in store.read(kinds=[Kind.BUNDLE, Kind.ASKED, Kind.SCORED]):
        header, body = record.header, decode(record.header.kind, record.body)
        if header.kind == Kind.BUNDLE:
            with suppress(tiki.Invalid):  # put on record past the gate; nobody decided by it
                bundles[body.digest] = bundle_of(body, points, header.seq)
        elif header.kind == Kind.ASKED:
            if body.waits == "policy":
                waiting[header.decision, header.attempt] = body
        elif body.policy:
            asked = waiting.pop((header.decision, header.attempt))
            program = bundles[asked.bundle].programs[header.point]
            yield _Question(header.seq, header.decision, header.point, asked, body, tier.consult(program, asked))


def _batches(questions: Iterator[_Question]) -> Iterator[Sequence[_Question]]:
    batch: list[_Question] = []
    for question in questions:
        batch.append(question)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _compare(question: _Question, again: Said, found: Rescored) -> None:
    asked, scored = question.asked, question.scored
    found.scored += 1
    found.other += scored.policy != again.policy
    before = [math.exp(log) for log in scored.logs]
    after = [math.exp(log) for log in again.scores]
    found.apart = max(found.apart, *(abs(a - b) for a, b in zip(after, before, strict=True)))
    best = max(range(len(after)), key=after.__getitem__)
    chosen = scored.offered.index(scored.choice) if scored.choice is not None else best
    if best != chosen:
        names = [asked.candidates[index].action for index in scored.offered]
        found.flips.append(
            Flip(
                question.seq,
                question.decision,
                question.point,
                (names[chosen], before[chosen]),
                (names[best], after[best]),
            )
        )
