"""Past decisions of the same point whose facts were nearest, with what was chosen and what came of it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from federation.distance import nearest
from federation.life import life_of
from federation.records import Answered, Asked, Kind, Outcome, Record, decode
from tiki.schema import Point

PAGE = 500
SCANNED = 5000  # asked records of the point, the newest, among which the nearest are looked for
LOOKED_UP = 100  # of the nearest, whose answer is looked up


class Similar(NamedTuple):
    """distance: in [0, 1], 0 where all facts are the same. outcome: None where none is on record."""

    decision: str
    distance: float
    asked: Asked
    answered: Answered
    outcome: Outcome | None


class Ledger(Protocol):
    def latest(
        self, limit: int, *, kinds: Sequence[str] = (), points: Sequence[str] = (), before: int | None = None
    ) -> list[Record]: ...

    def decision(self, id: str) -> list[Record]: ...


def similar(ledger: Ledger, schema: Point, asked: Asked, decision: str, limit: int) -> list[Similar]:
    """The nearest first, at most `limit`, of those that a rule left open and somebody has answered; of several with the
    same facts and the same answer one. Blocking: call it from a thread."""
    pool = [(one.facts, id) for id, one in _pool(ledger, schema, asked) if id != decision]
    found: dict[str, Similar] = {}
    for apart, id in nearest(schema, asked.facts, pool)[:LOOKED_UP]:
        if len(found) == limit:
            break
        one = _decided(ledger.decision(id), id, apart)
        if one is not None:
            found.setdefault(_told(one), one)
    return list(found.values())


def _pool(ledger: Ledger, schema: Point, asked: Asked) -> Iterator[tuple[str, Asked]]:
    before, scanned = None, 0
    while scanned < SCANNED:
        records = ledger.latest(PAGE, kinds=[Kind.ASKED], points=[schema.name], before=before)
        for record in records:
            body: Asked = decode(Kind.ASKED, record.body)
            if record.header.attempt == 0 and body.waits and body.version == asked.version:
                yield record.header.decision, body
        if len(records) < PAGE:
            return
        scanned, before = scanned + PAGE, records[-1].header.seq


def _decided(records: Sequence[Record], decision: str, apart: float) -> Similar | None:
    """None: nobody answered it."""
    life = life_of(records)
    if life is None or life.answered is None or life.answered.tier in ("timeout", "fallback"):
        return None
    return Similar(decision, apart, life.asked, life.answered, life.outcome)


def _told(one: Similar) -> str:
    came = (one.outcome.status, one.outcome.reward) if one.outcome else None
    return repr((sorted(one.asked.facts.items(), key=str), one.answered.action, one.answered.args, came))
