"""What people read of decisions: put together from their records, and explained anew by the very specs that decided."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from pydantic import BaseModel

import tiki
from federation import decide
from federation.clock import SECOND
from federation.errors import Refused
from federation.ledger.store import Store
from federation.life import Life, life_of
from federation.points import DecisionPoint, schemas
from federation.records import Advised as AdvisedRecord
from federation.records import Answered, Asked, BundleText, Candidate, CaseWord, Effect, Kind, Outcome, Record, decode
from federation.records import Scored as ScoredRecord
from managers.uim.opinions import Advice, Opinion, advice_of, opinion_of

PAGE = 500  # asked records read at a time
SCANNED = 10_000  # asked records that one request looks through before it hands out a cursor


class Summary(BaseModel):
    """A decision on one line. status: answered, or waiting as a case. seq: of its first record, `before` of a page."""

    id: str
    seq: int
    time: str
    point: str
    subject: str
    status: str
    action: str = ""
    args: dict[str, Any] = {}
    tier: str = ""
    clause: str = ""
    reason: str = ""
    mode: str = ""
    effect: str = ""
    outcome: str = ""


class Step(BaseModel):
    """One record of a decision's life."""

    seq: int
    time: str
    kind: str
    what: str
    detail: str = ""


class Decision(Summary):
    """Everything on record about a decision. facts: canonical units; a missing one was unknown, null was absent."""

    event: dict[str, Any]
    facts: dict[str, Any]
    candidates: list[dict[str, Any]]
    bundle: str
    version: int
    attempts: int
    until: str = ""
    by: str = ""
    words: str = ""
    result: dict[str, Any] = {}
    steps: list[Step]


class Page(BaseModel):
    """Newest first. next: the `before` of the next page, which may hold fewer than asked for; null: there is none."""

    decisions: list[Summary]
    next: int | None = None


class Explanation(BaseModel):
    """Recomputed from the asked record and the bundle in force then. trace: the rules tried, with every comparison.
    forbidden: what a guard took out. opinion: of the policy, advice: of an advisor, both as recorded. on_timeout: the
    action that answers if nobody else does in time. same: it comes out as it is on record."""

    id: str
    point: str
    bundle: str
    trace: dict[str, Any]
    text: str
    forbidden: list[dict[str, Any]]
    opinion: Opinion | None
    advice: Advice | None = None
    on_timeout: str
    same: bool


class Wanted(NamedTuple):
    """since: ns; before: seq; empty or 0: any."""

    point: str = ""
    subject: str = ""
    tier: str = ""
    since: int = 0
    before: int = 0
    limit: int = 50


class Reader:
    """Reads of a ledger that somebody else writes. Blocking: call it from a thread."""

    def __init__(self, store: Store, points: dict[str, DecisionPoint]) -> None:
        self.store = store
        self.points = points
        self._bundle = lru_cache(4)(self._compile)

    def page(self, wanted: Wanted) -> Page:
        """The newest decisions that match."""
        found: list[Summary] = []
        last = 0
        for scanned, record in enumerate(self._asked(wanted)):
            header = record.header
            if header.time < wanted.since:
                return Page(decisions=found)
            last = header.seq
            if header.attempt == 0 and wanted.subject in ("", header.subject):
                summary = self.summary(header.decision)
                if wanted.tier in ("", summary.tier):
                    found.append(summary)
            if len(found) == wanted.limit or scanned + 1 == SCANNED:
                return Page(decisions=found, next=last)
        return Page(decisions=found)

    def _asked(self, wanted: Wanted) -> Iterator[Record]:
        before = wanted.before or None
        points = [wanted.point] if wanted.point else []
        while records := self.store.latest(PAGE, kinds=[Kind.ASKED], points=points, before=before):
            yield from records
            before = records[-1].header.seq

    def records(self, decision: str) -> list[Record]:
        """Raises Refused when there is no such decision."""
        records = self.store.decision(decision)
        if not records:
            cure = "`elias ledger tail` shows the newest; an id has 32 hex digits"
            raise Refused("no-decision", f"there is no decision `{decision}`", cure=cure)
        return records

    def points_of(self, decisions: Sequence[str]) -> dict[str, str]:
        """The decision points of those that exist, by decision."""
        found = {decision: self.store.decision(decision) for decision in decisions}
        return {decision: records[0].header.point for decision, records in found.items() if records}

    def summary(self, decision: str) -> Summary:
        records = self.records(decision)
        return Summary(**_summary(records, _life(records)))

    def decision(self, decision: str) -> Decision:
        records = self.records(decision)
        life = _life(records)
        asked, answered = life.asked, life.answered
        return Decision(
            **_summary(records, life),
            event=msgspec.to_builtins(asked.event),
            facts=asked.facts,
            candidates=msgspec.to_builtins(asked.candidates),
            bundle=asked.bundle,
            version=asked.version,
            attempts=asked.attempt + 1,
            until=iso(asked.until) if asked.until else "",
            by=answered.by if answered else "",
            words=answered.words if answered else "",
            result=life.outcome.data if life.outcome else {},
            steps=[_step(record) for record in records],
        )

    def explain(self, decision: str) -> Explanation:
        """Raises Refused when the bundle is not on record or the point has changed since."""
        records = self.records(decision)
        life = _life(records)
        asked, point = life.asked, records[0].header.point
        program = self._program(point, asked)
        facts, held = program.facts_from(asked.facts), tuple(asked.held)
        trace = program.explain(facts, held)
        judged = decide.judge(program, facts, held, asked.latch, asked.candidates, asked.modes, asked.at, asked.attempt)
        return Explanation(
            id=decision,
            point=point,
            bundle=asked.bundle,
            trace=trace.to_dict(),
            text=trace.text(),
            forbidden=[
                {"action": c.action, "args": c.args, "guard": c.forbidden} for c in asked.candidates if c.forbidden
            ],
            opinion=opinion_of(asked, life.scored) if life.scored else None,
            advice=advice_of(asked, life.advised) if life.advised else None,
            on_timeout=program.on_timeout,
            same=isinstance(judged.answer, decide.Waits) if asked.waits else judged.answer == life.answered,
        )

    def offered(self, decision: str) -> list[Candidate]:
        """What whoever answers this case may choose."""
        records = self.records(decision)
        asked = _life(records).asked
        terminal = self.points[records[0].header.point].terminal
        return [asked.candidates[i] for i in decide.offered(asked, terminal)]

    def _program(self, name: str, asked: Asked) -> tiki.Program:
        point = self.points.get(name)
        if point is None or point.schema.version != asked.version:
            now = f"version {point.schema.version}" if point else "nothing"
            what = f"it was asked at version {asked.version} of {name}, and this ELIAS knows {now} of it"
            raise Refused("other-version", what, cure="explain it with the ELIAS that made it")
        return self._bundle(asked.bundle).programs[name]

    def _compile(self, digest: str) -> tiki.Bundle:
        before = None
        while found := self.store.latest(20, kinds=[Kind.BUNDLE], before=before):
            for record in found:
                text: BundleText = decode(Kind.BUNDLE, record.body)
                if text.digest == digest:
                    return tiki.rebuild(text.sources, schemas(self.points))
            before = found[-1].header.seq
        raise Refused("no-bundle", f"bundle `{digest}` is not in the ledger", cure="restore the ledger from a copy")


def _life(records: Sequence[Record]) -> Life:
    found = life_of(records)
    if found is None:
        what = f"`{records[0].header.decision}` was never asked"
        raise Refused("no-decision", what, cure="see `elias ledger verify`")
    return found


def _summary(records: Sequence[Record], life: Life) -> dict[str, Any]:
    header, answered = records[0].header, life.answered
    said: dict[str, Any] = {"status": "waiting", "clause": life.asked.clause, "reason": life.asked.reason}
    if answered is not None:
        said = {
            "status": "answered",
            "action": answered.action,
            "args": answered.args,
            "tier": answered.tier,
            "clause": answered.clause,
            "reason": answered.reason,
            "mode": answered.mode,
        }
    return {
        "id": header.decision,
        "seq": header.seq,
        "time": iso(header.time),
        "point": header.point,
        "subject": header.subject,
        "effect": life.effects[-1].verdict if life.effects else "",
        "outcome": life.outcome.status if life.outcome else "",
        **said,
    }


def _step(record: Record) -> Step:
    header = record.header
    what, detail = "", ""
    match decode(header.kind, record.body):
        case Asked(waits=tier, reason=reason) if tier:
            what, detail = f"asked; waits for the {tier}", reason
        case Asked():
            what = "asked"
        case ScoredRecord(policy=policy, engine=engine, tier=tier, reason=reason):
            what = f"scored by {engine}: {tier} answers" if policy else f"not scored: {tier} answers"
            detail = reason
        case AdvisedRecord(model=model, tier=tier, reason=reason, words=words):
            who = model or "nobody"
            what = f"advised by {who}, too late" if tier == "late" else f"advised by {who}: {tier} answers"
            detail = f"{reason}: {words}" if words else reason
        case Answered(action=action, tier=tier, reason=reason, by=by, words=words):
            who = f"policy {by[:12]}" if tier == "policy" else by or tier
            what, detail = f"{action}, by {who}", words or reason
        case Effect(verdict=verdict, reason=reason, node=node):
            what, detail = f"effect {verdict}", reason or f"on {node}"
        case Outcome(status=status, detail=said):
            what, detail = f"outcome: {status}", said
        case CaseWord(what="late", by=by, action=action, words=words):
            what, detail = f"{action or 'approved'} by {by}, too late", words
        case CaseWord(what=said, by=by, to=to, through=through, words=words):
            what, detail = " ".join(filter(None, (said, to or through, f"by {by}"))), words
    return Step(seq=header.seq, time=iso(header.time), kind=header.kind, what=what, detail=detail)


def iso(at: int) -> str:
    """Ledger time (ns) as RFC 3339 in UTC, to the millisecond."""
    seconds, rest = divmod(at, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03}Z"


def nanoseconds(text: str, place: str = "") -> int:
    """The inverse of `iso`, for any RFC 3339 time. place: the parameter or the option that it was given as. Raises
    Refused."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused("bad-time", f"`{text}` is not a time", place=place, cure="write 2026-01-31T12:00:00Z") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * SECOND)
