"""What a person weighs a decision by: its facts and how they went before, its candidates, and decisions like it.

Blocking: call it in a thread.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from federation.distance import nearest
from federation.records import Asked, Kind, decode
from managers.uim.api.context import Context
from managers.uim.reading import Decision, Explanation, Summary
from managers.uim.web import words
from tiki.schema import Fact, Type
from tiki.values import show

BEFORE = 300  # questions of the same point that are looked at
SERIES = 40  # that are drawn
OWN = 3  # about the same subject from which its own are drawn
ALIKE = 6  # decisions shown
MOST_APART = 0.35  # mean distance of facts, of 1, up to which a decision counts as alike


class Known(NamedTuple):
    """A fact. text: with its unit, or absent, or unknown. series: its values at earlier questions, oldest first, this
    one last; empty for what is no number. own: those were about the same subject, else about any of this point."""

    name: str
    doc: str
    text: str
    known: bool
    series: list[float | None]
    own: bool


class Option(NamedTuple):
    """A candidate. probability: as the policy scored it. forbidden: the guard that took it out. chosen: by whoever
    answered. best: by the policy. number: of the candidate in its record."""

    number: int
    action: str
    args: Mapping[str, Any]
    attributes: Mapping[str, Any]
    probability: float | None
    forbidden: str
    chosen: bool
    best: bool
    doc: str


class Alike(NamedTuple):
    """apart: mean distance of the facts, 0 (the same) to 1."""

    apart: float
    summary: Summary


def facts(here: Context, found: Decision) -> list[Known]:
    point = here.points.get(found.point)
    if point is None:
        return [Known(name, "", str(value), True, [], True) for name, value in found.facts.items()]
    asked = list(_asked(here, found))
    same = [one.facts for one, _, subject in asked if subject == found.subject]
    own = len(same) >= OWN
    before = (same if own else [one.facts for one, *_ in asked])[:SERIES][::-1]
    rows = []
    for fact in point.schema.facts:
        known = fact.name in found.facts
        text = _text(fact, found.facts[fact.name]) if known else "unknown"
        values = [_number(facts.get(fact.name)) for facts in (*before, found.facts)]
        rows.append(Known(fact.name, fact.doc, text, known, values if any(v is not None for v in values) else [], own))
    return rows


def candidates(here: Context, found: Decision, explanation: Explanation | None) -> list[Option]:
    """The likeliest first, then those without a probability, the forbidden ones last."""
    point = here.points.get(found.point)
    docs = {action.name: action.doc for action in point.schema.actions} if point else {}
    opinion = explanation.opinion.candidates if explanation and explanation.opinion else []
    options = []
    for number, one in enumerate(found.candidates):
        action, args = one["action"], one.get("args", {})
        scored = next((o for o in opinion if o.action == action and o.args == args), None)
        options.append(
            Option(
                number,
                action,
                args,
                one.get("attributes", {}),
                scored.probability if scored else None,
                one.get("forbidden") or "",
                found.status == "answered" and (action, args) == (found.action, found.args),
                bool(scored and scored.chosen),
                docs.get(action, ""),
            )
        )
    return sorted(options, key=lambda o: (bool(o.forbidden), -(o.probability or 0.0), o.number))


def alike(here: Context, found: Decision) -> list[Alike]:
    """Answered decisions of the same point whose facts were nearest, nearest first."""
    point = here.points.get(found.point)
    if point is None:
        return []
    others = [(asked.facts, decision) for asked, decision, _ in _asked(here, found) if decision != found.id]
    rows: list[Alike] = []
    for apart, decision in nearest(point.schema, found.facts, others):
        if apart > MOST_APART or len(rows) == ALIKE:
            break
        summary = here.reader.summary(decision)
        if summary.status == "answered":
            rows.append(Alike(apart, summary))
    return rows


def _asked(here: Context, found: Decision) -> Iterator[tuple[Asked, str, str]]:
    """The questions of this point before this one, newest first, each with its decision and subject."""
    for record in here.store.latest(BEFORE, kinds=[Kind.ASKED], points=[found.point], before=found.seq):
        header = record.header
        if header.attempt == 0:
            yield decode(Kind.ASKED, record.body), header.decision, header.subject


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _text(fact: Fact, value: Any) -> str:
    if value is None:
        return "absent"
    if fact.type is Type.BYTES and isinstance(value, int):
        return words.size(value)
    if isinstance(value, float) and fact.type is not Type.DURATION:
        value = float(f"{value:.6g}")
    return show(fact.type, tuple(value) if isinstance(value, list) else value)
