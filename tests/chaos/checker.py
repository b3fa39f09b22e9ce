"""Whether what ELIAS promises has held, from the history of a run: in the manner of Jepsen, whose checkers likewise see
nothing but what clients were told and what is there in the end. Pure; every finding is a sentence.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from federation.records import Kind
from tests.chaos.history import CERTAIN, REFUSED, SOURCE, History, Note, Request

PLACEMENT, DELIVERY = "ufm.placement", "ucm.delivery"


def findings(history: History) -> list[str]:
    """What is wrong, a line each; none: every promise has held."""
    return [
        *_writers(history.ledger),
        *_decisions(history),
        *_modes(history),
        *_effects(history.ledger),
        *_world(history),
        *([f"the ledger does not verify: {history.damage}"] if history.damage else []),
        *([f"not well at the end: {history.unwell}"] if history.unwell else []),
    ]


def _writers(ledger: Sequence[Note]) -> Iterator[str]:
    """One order, one writer: no hole, and nothing under an epoch that was over."""
    for before, after in pairwise(ledger):
        if after.seq != before.seq + 1:
            yield f"record {after.seq} follows record {before.seq}"
        if after.epoch < before.epoch:
            yield f"record {after.seq} was written under epoch {after.epoch}, after epoch {before.epoch} had begun"


def _decisions(history: History) -> Iterator[str]:
    """Whatever was acknowledged has its decision, once; nothing is decided that nobody asked."""
    asked, answered = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    event_of = dict[str, str]()
    for note in history.ledger:
        if note.kind == Kind.ASKED:
            asked[note.decision, note.attempt] += 1
            if note.source == SOURCE:
                event_of[note.decision] = note.event
        elif note.kind == Kind.ANSWERED:
            answered[note.decision, note.attempt] += 1
    for what, counted in (("asked", asked), ("answered", answered)):
        for (decision, attempt), times in counted.items():
            if times > 1:
                yield f"decision {decision} was {what} {times} times (attempt {attempt})"
    for decision, attempt in answered.keys() - asked.keys():
        yield f"decision {decision} was answered and never asked (attempt {attempt})"
    events = [request for request in history.requests if request.part != "gate"]
    for request in events:
        for decision, status in request.decisions.items() if request.result == CERTAIN else ():
            if event_of.get(decision) != request.id:
                yield f"event {request.id} was acknowledged, and its decision {decision} is not on record"
            elif status == "answered" and not answered[decision, 0]:
                yield f"event {request.id} was acknowledged as answered, and decision {decision} has no answer"
    sent, results = _by_id(events)
    for decision, event in event_of.items():
        if event not in sent:
            yield f"decision {decision} is about event {event}, which nobody sent"
        elif results[event] == {REFUSED}:
            yield f"event {event} was refused, and decision {decision} was made all the same"
    for request in events:
        if request.result == REFUSED:
            yield f"event {request.id} was refused: {request.said}"


def _modes(history: History) -> Iterator[str]:
    """A person's word that was taken stands on record, as often as it was. More often is no fault: whoever passes it on
    asks a gate again that died before it answered, and a mode that is set twice is set."""
    recorded = Counter(note.state for note in history.ledger if note.kind == Kind.MODE)
    taken = sum(request.result == CERTAIN for request in history.requests if request.part == "gate")
    if recorded.total() < taken:
        yield f"modes: {taken} changes were taken, and {recorded.total()} are on record"


def _effects(ledger: Sequence[Note]) -> Iterator[str]:
    """event -> decision -> effect -> outcome, in this order; and an effect ends once."""
    answered, wanted, ended = set[str](), defaultdict[str, set[str]](set), dict[str, str]()
    for note in ledger:
        if note.kind == Kind.ANSWERED:
            answered.add(note.decision)
        elif note.kind == Kind.EFFECT:
            if note.decision not in answered:
                yield f"record {note.seq}: an effect of decision {note.decision}, which has no answer yet"
            wanted[note.decision].add(note.state)
        elif note.kind == Kind.OUTCOME:
            if note.decision not in wanted:
                yield f"record {note.seq}: an outcome of decision {note.decision}, which wanted no effect yet"
            elif note.state in ("done", "failed", "unknown") and "released" not in wanted[note.decision]:
                yield f"record {note.seq}: decision {note.decision} is {note.state}, and was never released"
            if note.decision in ended:
                yield f"record {note.seq}: decision {note.decision} is {note.state}, and was {ended[note.decision]}"
            if note.state != "unknown":
                ended[note.decision] = note.state


def _world(history: History) -> Iterator[str]:
    """No effect twice where ELIAS can prevent it, none that was not released, and none called done that was not.

    A job runs on our own nodes: at most once. A message leaves our reach and goes at least once (docs/delivery.md), so
    that it came twice is no finding.
    """
    world = history.world
    sent, _ = _by_id(request for request in history.requests if request.part == "jobs")
    released = {note.decision for note in history.ledger if note.kind == Kind.EFFECT and note.state == "released"}
    placed = {n.subject for n in history.ledger if n.point == PLACEMENT and n.decision in released}
    for job, times in world.jobs.items():
        if times > 1:
            yield f"job {job} ran {times} times"
        if job not in sent:
            yield f"job {job} ran, and nobody sent it"
        elif job not in placed:
            yield f"job {job} ran, and its placement was never released"
    message_of = dict[str, str]()
    for note in history.ledger:
        if note.kind == Kind.ASKED and note.point == DELIVERY:
            # What waited for its turn, or is tried again, is asked about anew: the event begins with its message.
            message_of[note.decision] = note.decision if note.source == SOURCE else note.event.partition(" ")[0]
        elif note.kind == Kind.OUTCOME and note.state == "done":
            if note.point == PLACEMENT and note.subject not in world.jobs:
                yield f"job {note.subject} is done, and never ran"
            if note.point == DELIVERY and message_of.get(note.decision) not in world.messages:
                yield f"message {message_of.get(note.decision)} is delivered, and never came"


def _by_id(requests: "Sequence[Request] | Iterator[Request]") -> tuple[set[str], dict[str, set[str]]]:
    """What was sent, and all results of each."""
    results = defaultdict[str, set[str]](set)
    for request in requests:
        results[request.id].add(request.result)
    return set(results), results
