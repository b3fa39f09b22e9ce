"""Decisions of a ledger as examples: those that a policy, an advisor or a person answered.

One pass over the answers, and a look-up of the decision for each that no rule gave. Nothing waits in memory meanwhile:
a question may be open for a month and its outcome come a day after the answer, so a single pass over all records would
hold what may yet end, while the rules' answers, nearly all there are, would be decoded only to be dropped.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import msgspec

from federation import decide
from federation.clock import SECOND
from federation.ledger.store import Head, Store
from federation.points import DecisionPoint, Due, schemas
from federation.policy.audit import ABOVE
from federation.policy.question import LABELS, Question
from federation.records import Advised, Answered, Asked, Effect, Kind, Outcome, Record, Scored, decode, of_case
from training.dataset.example import CHOSEN_BY_POLICY, Advice, Logged
from training.dataset.specs import Specs

RULE = "rule"
GONE = "the point is no more"
NO_SPECS = "its specs cannot be read any more"
NO_CHOICE = "fewer than two candidates"
CHANGED = "its world has changed since"
WHY: Mapping[str, str] = {RULE: "a rule answered", "fallback": "a fall-back answered", "timeout": "nobody answered"}
"""Why a decision is no example, by the tier that answered."""

_STEP = 1000  # records between two words on the progress
_TIERS = (CHOSEN_BY_POLICY, *ABOVE)
_STATUSES = frozenset({"done", "failed", "refused", "expired", "unknown"})

_Body = TypeVar("_Body")


class Left(NamedTuple):
    """A decision that is no example."""

    point: str
    why: str


def collect(
    store: Store,
    points: Mapping[str, DecisionPoint],
    head: Head,
    *,
    names: Sequence[str] = (),
    since: int | None = None,
    until: int | None = None,
    changed: Mapping[str, int] = MappingProxyType({}),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Logged | Left]:
    """In the order of the answers, as they stand on record: not scrubbed, the family left empty.

    points: of today, by name. head: where the ledger ends; what came later is not seen. names: of points; empty: all.
    since, until: of the answers, since <= at < until (ledger time, ns). changed: the same as `since`, of single points.
    """
    specs = Specs(store, schemas(points), head.size)
    for record in store.read(upto=head.size, kinds=[Kind.ANSWERED], points=names):
        header = record.header
        if header.seq % _STEP == 0:
            progress(header.seq, head.size)
        if (since is not None and header.time < since) or (until is not None and header.time >= until):
            continue
        if header.time < changed.get(header.point, 0):
            yield Left(header.point, CHANGED)
        elif header.point not in points:
            yield Left(header.point, GONE)
        elif not of_case(header.kind, record.body):
            yield Left(header.point, WHY[RULE])
        else:
            yield _decision(store, points[header.point], record, specs, head)
    progress(head.size, head.size)


def _decision(store: Store, point: DecisionPoint, answer: Record, specs: Specs, head: Head) -> Logged | Left:
    header = answer.header
    answered: Answered = decode(Kind.ANSWERED, answer.body)
    if answered.tier not in _TIERS or answered.choice is None:
        return Left(point.name, WHY.get(answered.tier, NO_CHOICE))
    records = [one for one in store.decision(header.decision) if one.header.seq <= head.size]
    bodies = [decode(one.header.kind, one.body) for one in records]
    mine = [body for body in bodies if getattr(body, "attempt", None) == answered.attempt]
    asked, scored, advised = _last(mine, Asked), _last(mine, Scored), _last(mine, Advised)
    assert asked is not None, "the ledger holds no answer to what was not asked"
    settings = specs.settings(asked.bundle, point.name)
    if settings is None:
        return Left(point.name, NO_SPECS)
    offered = _offered(asked, scored, advised, point.terminal)
    if not 2 <= len(offered) <= len(LABELS) or answered.choice not in offered:
        return Left(point.name, NO_CHOICE)
    came = _came(point.outcome, bodies, head.time)
    found = Logged(
        decision=header.decision,
        attempt=answered.attempt,
        at=header.time,
        version=asked.version,
        bundle=asked.bundle,
        family="",
        question=Question(point.name, settings, asked.facts, tuple(asked.candidates[index] for index in offered)),
        choice=offered.index(answered.choice),
        tier=answered.tier,
        advice=_advice(advised, offered),
        status=came.status,
        reward=came.reward,
    )
    if scored is None or scored.choice is None:
        return found
    return msgspec.structs.replace(
        found,
        policy=scored.policy,
        preferred=offered.index(scored.choice),
        logs=tuple(scored.logs),
        propensities=tuple(scored.propensities) if answered.tier == CHOSEN_BY_POLICY else (),
        why=_why(scored, point) if answered.tier in ABOVE else "",
    )


def _why(scored: Scored, point: DecisionPoint) -> str:
    """See `Logged.why`."""
    if scored.audit:
        return "drawn"
    return "all" if scored.threshold is None or point.critical else "unsure"


def _offered(asked: Asked, scored: Scored | None, advised: Advised | None, terminal: str) -> list[int]:
    """The candidates as whoever was asked saw them."""
    for said in (scored, advised):
        if said is not None and said.offered:
            return said.offered
    return decide.offered(asked, terminal)


def _advice(advised: Advised | None, offered: list[int]) -> Advice | None:
    """None: no advisor spoke. One that came after the answer is advice all the same."""
    if advised is None or not advised.model:
        return None
    choice = offered.index(advised.choice) if advised.choice in offered else None
    return Advice(advised.model, choice, advised.confidence)


class _Came(NamedTuple):
    status: str
    reward: float | None


def _came(due: Due, bodies: Sequence[object], now: int) -> _Came:
    """The newest word on the effect. Without one, what the point says that silence means, once an outcome is due; no
    silence has a reward."""
    outcome = _last(bodies, Outcome)
    if outcome is not None:
        return _Came(outcome.status if outcome.status in _STATUSES else "unknown", outcome.reward)
    released = [one.at for one in bodies if isinstance(one, Effect) and one.verdict == "released"]
    if released and now >= released[-1] + round(due.seconds * SECOND):
        return _Came(due.silence, None)
    return _Came("", None)


def _last(bodies: Sequence[object], kind: type[_Body]) -> _Body | None:
    return next((body for body in reversed(bodies) if isinstance(body, kind)), None)
