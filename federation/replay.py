"""Replays the ledger: every decision is computed again from its asked record, and must come out byte for byte.

A rule's answer is judged anew under the bundle that was in force; a person's or a time-out's answer is checked for
what it may be: taken from what was asked. Needs the decision points of the versions that the ledger names, and
nothing else.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

import tiki
from federation import decide
from federation.errors import Refused
from federation.ledger.store import Store
from federation.points import DecisionPoint, schemas, versions
from federation.records import Answered, Asked, BundleText, Kind, Record, decode, encode


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
    """Raises Refused when the ledger was written with other versions of the points than are installed."""
    total = store.head().size
    found = Replayed()
    bundles: dict[str, tiki.Bundle] = {}
    open_: dict[tuple[str, int], Asked] = {}
    for record in store.read(kinds=[Kind.BUNDLE, Kind.ASKED, Kind.ANSWERED]):
        header = record.header
        if header.kind == Kind.BUNDLE:
            text: BundleText = decode(Kind.BUNDLE, record.body)
            bundles[text.digest] = _bundle(text, points, header.seq)
        elif header.kind == Kind.ASKED:
            open_[header.decision, header.attempt] = decode(Kind.ASKED, record.body)
        else:
            _compare(record, open_.pop((header.decision, header.attempt)), bundles, found)
        if header.seq % 1000 == 0:
            progress(header.seq, total)
    progress(total, total)
    found.waiting = len(open_)
    return found


def _bundle(text: BundleText, points: Mapping[str, DecisionPoint], seq: int) -> tiki.Bundle:
    here = versions({name: points[name] for name in text.versions if name in points})
    if here != text.versions:
        other = sorted(name for name in text.versions if here.get(name) != text.versions[name])
        raise Refused(
            "replay-versions",
            f"record {seq} was written with other versions of {', '.join(other)}",
            cure="replay it with the ELIAS that wrote it",
        )
    return tiki.rebuild(text.sources, schemas({name: points[name] for name in text.versions}))


def _compare(record: Record, asked: Asked, bundles: Mapping[str, tiki.Bundle], found: Replayed) -> None:
    answered: Answered = decode(Kind.ANSWERED, record.body)
    found.decisions += 1
    program = bundles[asked.bundle].programs[record.header.point]
    facts, held = program.facts_from(asked.facts), tuple(asked.held)
    if asked.waits:
        found.by_others += 1
        again = _by_others(program, asked, answered, facts, held)
    else:
        found.by_rule += 1
        judged = decide.judge(program, facts, held, asked.latch, asked.candidates, asked.modes, asked.at, asked.attempt)
        again = encode(judged.answer) if isinstance(judged.answer, Answered) else b"waits"
    if again != record.body:
        found.differences.append(
            Difference(record.header.seq, record.header.decision, record.body.decode(), again.decode())
        )


def _by_others(
    program: tiki.Program, asked: Asked, answered: Answered, facts: tuple[Any, ...], held: tuple[bool | None, ...]
) -> bytes:
    """The answer as it may have been given: the recorded one if it chose what was offered, else what is wrong with
    it.
    """
    if answered.tier == "timeout":
        return encode(decide.timed_out(program, asked.candidates, asked.modes, asked.clause, asked.attempt))
    terminal = answered.action == program.point.terminal
    if terminal or answered.choice in decide.offered(program, facts, held, asked.candidates):
        return encode(answered)
    return b"not offered"
