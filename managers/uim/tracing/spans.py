"""The spans of a decision, from its records. Pure.

A decision is its trace: its id has the 32 hex digits of a trace id, unless whoever posted the event named another one
(`Parent`). The id of a span follows from what it is about, so a span that is told twice is the same span.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from federation.clock import SECOND
from federation.records import Advised, Answered, Asked, Effect, Kind, Outcome, Record, Scored, decode

KINDS = frozenset({Kind.ASKED, Kind.SCORED, Kind.ADVISED, Kind.ANSWERED, Kind.EFFECT, Kind.OUTCOME})
ENDS = frozenset({Kind.ANSWERED, Kind.OUTCOME})
"""Records that end something: a decision, and its effect."""

_GOOD = ("done", "refused")  # outcomes of an effect that are as somebody wanted

Value = str | int | float | bool


class Parent(NamedTuple):
    """Of the first span of a decision: where in which trace it hangs. span: empty: nowhere."""

    trace: str
    span: str


class Moment(NamedTuple):
    """Something that happened within a span, at a ledger time (ns)."""

    name: str
    at: int
    attributes: Mapping[str, Value]


class Span(NamedTuple):
    """trace, id, parent: hex digits as in W3C Trace Context. start, end: ns since 1970. error: why it failed; empty: it
    did not. served: of a request."""

    trace: str
    id: str
    parent: str
    name: str
    start: int
    end: int
    attributes: Mapping[str, Value]
    moments: Sequence[Moment] = ()
    error: str = ""
    served: bool = False


def span_id(*what: object) -> str:
    """The 16 hex digits of a span that is about this."""
    return hashlib.sha256("/".join(map(str, what)).encode()).hexdigest()[:16]


def spans(records: Sequence[Record], parent: Parent) -> Iterator[Span]:
    """What the last of a decision's records ended. records: all of the decision up to that one, in order; none is told
    where they are not all there."""
    last = records[-1]
    if last.header.kind == Kind.ANSWERED:
        yield from _decided([r for r in records if r.header.attempt == last.header.attempt], parent)
    elif last.header.kind == Kind.OUTCOME:
        yield from _done(records, parent)


class _Trace(NamedTuple):
    """What the spans of one decision have in common."""

    decision: str
    attempt: int
    trace: str
    about: Mapping[str, Value]

    @property
    def root(self) -> str:
        return span_id(self.decision, self.attempt)

    def span(
        self, name: str, start: int, end: int, attributes: Mapping[str, Value], *, within: str = "", error: str = ""
    ) -> Span:
        own = span_id(self.decision, self.attempt, name)
        there = {**self.about, **attributes}
        return Span(self.trace, own, within or self.root, name, start, max(start, end), there, error=error)


def _decided(records: Sequence[Record], parent: Parent) -> Iterator[Span]:
    bodies = {record.header.kind: (record.header, decode(record.header.kind, record.body)) for record in records}
    if Kind.ASKED not in bodies:
        return
    (header, asked), (answer, answered) = bodies[Kind.ASKED], bodies[Kind.ANSWERED]
    assert isinstance(asked, Asked)
    assert isinstance(answered, Answered)
    trace = _trace(header.decision, header.point, header.subject, header.attempt, parent)
    made = {"elias.tier": answered.tier, "elias.action": answered.action, "elias.mode": answered.mode}
    whole = trace.span(f"decide {header.point}", asked.at, answer.time, {**made, "elias.clause": answered.clause})
    yield whole._replace(id=trace.root, parent=parent.span)
    yield trace.span("commit the question", asked.at, header.time, {"elias.seq": header.seq})
    ready = header.time  # from when the next tier can be asked
    if Kind.SCORED in bodies:
        at, scored = bodies[Kind.SCORED]
        yield _by_policy(trace, scored, ready)
        ready = at.time
    if Kind.ADVISED in bodies:
        at, advised = bodies[Kind.ADVISED]
        if advised.tier != "late":
            yield _by_advisor(trace, advised)
            ready = at.time
    if answered.tier in ("operator", "timeout"):
        yield trace.span(f"wait for the {_WAITED[answered.tier]}", ready, answer.time, {"elias.by": answered.by})
    elif answer.time > ready:
        yield trace.span("commit the answer", ready, answer.time, {"elias.seq": answer.seq})


_WAITED = {"operator": "operator", "timeout": "time-out"}


def _by_policy(trace: _Trace, scored: Scored, ready: int) -> Span:
    told: dict[str, Value] = {
        "elias.policy": scored.policy,
        "elias.engine": scored.engine,
        "elias.answers": scored.tier,
    }
    if scored.confidence is not None:
        told["elias.confidence"] = scored.confidence
    missing = "" if scored.policy else scored.reason
    return trace.span("ask the policy", ready, scored.at, told, error=missing)


def _by_advisor(trace: _Trace, advised: Advised) -> Span:
    told: dict[str, Value] = {
        "elias.model": advised.model,
        "elias.answers": advised.tier,
        "elias.calls": advised.calls,
        "elias.cost_dollars": advised.cost,
    }
    missing = "" if advised.model else advised.reason
    return trace.span("ask an advisor", advised.at - round(advised.seconds * SECOND), advised.at, told, error=missing)


def _done(records: Sequence[Record], parent: Parent) -> Iterator[Span]:
    """From the wish for an effect to its outcome; nothing for decisions without one."""
    steps = [(r.header, decode(r.header.kind, r.body)) for r in records if r.header.kind == Kind.EFFECT]
    asked = [record.header for record in records if record.header.kind == Kind.ASKED]
    last = records[-1]
    outcome = decode(last.header.kind, last.body)
    if not steps or not asked:
        return
    assert isinstance(outcome, Outcome)
    first, newest = steps[0][1], steps[-1]
    assert isinstance(first, Effect)
    # A later attempt asked again on the way: what came of the first wish hangs below the newest one.
    trace = _trace(last.header.decision, last.header.point, last.header.subject, asked[-1].attempt, parent)
    told = {"elias.action": first.action, "elias.mode": first.mode, "elias.node": first.node}
    error = "" if outcome.status in _GOOD else outcome.detail or outcome.status
    own = f"effect {first.action} {last.header.seq}"
    effect = trace.span(own, first.at, last.header.time, {**told, "elias.status": outcome.status}, error=error)
    yield effect._replace(name=f"effect {first.action}")
    gate = trace.span(f"gate {last.header.seq}", first.at, newest[0].time, {**told, "elias.verdict": newest[1].verdict})
    moments = [Moment(step.verdict, step.at or at.time, {"elias.reason": step.reason}) for at, step in steps]
    yield gate._replace(name="pass the gate", parent=effect.id, moments=moments)
    if newest[1].verdict == "released":
        acted = {**told, "elias.executor": first.executor, "elias.status": outcome.status}
        act = trace.span(f"act {last.header.seq}", newest[0].time, last.header.time, acted, error=error)
        yield act._replace(name=f"act on {first.node}", parent=effect.id)


def _trace(decision: str, point: str, subject: str, attempt: int, parent: Parent) -> _Trace:
    about: dict[str, Value] = {
        "elias.decision": decision,
        "elias.point": point,
        "elias.subject": subject,
        "elias.attempt": attempt,
    }
    return _Trace(decision, attempt, parent.trace, about)
