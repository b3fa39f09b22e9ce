"""What people answered, as labelled examples for whoever trains or judges a policy.

An example is one attempt of one decision that a person answered: what was known and allowed, what the policy and an
advisor made of it, what the person chose and why, and what came of it.
"""

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, TextIO, TypeVar

import msgspec

from federation.ledger.store import Store
from federation.records import Advised, Answered, Asked, Candidate, CaseWord, Effect, Kind, Outcome, Scored, decode
from managers.uim.reading import iso

Format = Literal["jsonl", "csv"]
_Body = TypeVar("_Body")
Progress = Callable[[int, int], None]


class Example(msgspec.Struct, frozen=True):
    """facts: canonical units; null is absent, a missing one unknown. candidates: all of them, `forbidden` with the
    guard that took it out. probabilities: of the policy, by candidate; null for one that it was not offered; empty: it
    was not asked. choice: index into candidates. label: approved (what was proposed), overridden (something else), or
    answered (nothing was proposed). outcome: status of the effect; empty: there was none. late: answers of others that
    came after this one."""

    decision: str
    attempt: int
    point: str
    version: int
    bundle: str
    subject: str
    asked: str
    answered: str
    facts: dict[str, Any]
    candidates: list[Candidate]
    probabilities: list[float | None]
    policy: str
    proposed: int | None
    choice: int | None
    action: str
    args: dict[str, Any]
    label: str
    author: str
    reason: str
    outcome: str
    reward: float | None
    late: list[dict[str, Any]]


def examples(
    store: Store, points: Sequence[str] = (), progress: Progress = lambda done, total: None
) -> Iterator[Example]:
    """In the order of the answers. Reads up to the head of now."""
    head = store.head().size
    for record in store.read(kinds=[Kind.ANSWERED], points=points, upto=head):
        header = record.header
        if header.seq % 1000 == 0:
            progress(header.seq, head)
        answered: Answered = decode(Kind.ANSWERED, record.body)
        if answered.tier == "operator":
            yield _example(store, header.decision, answered, header.time)
    progress(head, head)


def write(out: TextIO, found: Iterable[Example], format: Format) -> int:
    """How many were written. csv: facts, candidates and probabilities as JSON in their cells."""
    names, count = Example.__struct_fields__, 0
    rows = csv.writer(out)
    if format == "csv":
        rows.writerow(names)
    for example in found:
        if format == "csv":
            rows.writerow(_cell(getattr(example, name)) for name in names)
        else:
            out.write(msgspec.json.encode(example).decode() + "\n")
        count += 1
    return count


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        # A spreadsheet takes what begins so for a formula, and runs it.
        return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
    return value if isinstance(value, int | float | None) else msgspec.json.encode(value).decode()


def _example(store: Store, decision: str, answered: Answered, at: int) -> Example:
    records = store.decision(decision)
    bodies = [decode(record.header.kind, record.body) for record in records]
    mine = [body for body in bodies if getattr(body, "attempt", answered.attempt) == answered.attempt]
    asked = next(body for body in mine if isinstance(body, Asked))
    scored = _last(mine, Scored)
    advised = _last(mine, Advised)
    outcome = _last(bodies, Outcome) if _last(bodies, Effect) else None
    header = records[0].header
    proposed = next((said.choice for said in (advised, scored) if said is not None and said.choice is not None), None)
    return Example(
        decision=decision,
        attempt=answered.attempt,
        point=header.point,
        version=asked.version,
        bundle=asked.bundle,
        subject=header.subject,
        asked=iso(asked.at),
        answered=iso(at),
        facts=asked.facts,
        candidates=asked.candidates,
        probabilities=_probabilities(asked, scored) if scored else [],
        policy=scored.policy if scored else "",
        proposed=proposed,
        choice=answered.choice,
        action=answered.action,
        args=answered.args,
        label="answered" if proposed is None else "approved" if proposed == answered.choice else "overridden",
        author=answered.by,
        reason=answered.words,
        outcome=outcome.status if outcome else "",
        reward=outcome.reward if outcome else None,
        late=[
            {"action": word.action, "args": word.args, "author": word.by, "reason": word.words, "at": iso(word.at)}
            for word in bodies
            if isinstance(word, CaseWord) and word.what == "late"
        ],
    )


def _probabilities(asked: Asked, scored: Scored) -> list[float | None]:
    given = {index: math.exp(log) for index, log in zip(scored.offered, scored.logs, strict=True)}
    return [given.get(index) for index in range(len(asked.candidates))] if given else []


def _last(bodies: Iterable[Any], kind: type[_Body]) -> _Body | None:
    found = None
    for body in bodies:
        if isinstance(body, kind):
            found = body
    return found
