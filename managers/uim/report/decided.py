"""The decisions of a time, as a report counts them: by whom they were answered, and of those that a policy was asked
about, what came of them."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from federation.clock import SECOND
from federation.ledger.store import Store
from federation.life import Life, life_of
from federation.policy.audit import ABOVE
from federation.policy.promotions import Lot
from federation.records import Advised, Kind, Record, of_case

Progress = Callable[[int, int], None]

_STEP = 1000  # records between two words on the progress


class Decided(NamedTuple):
    """A decision that a policy was asked about. asked: ledger time, ns. alone: it was decided by it. audit: it would
    have been, and was checked instead. agreed: whoever answered above the policy chose what it would have; None: nobody
    did, or it said nothing. advised: an advisor was called. seconds: from the question to the score; None without one.
    reward: of its outcome, in the unit of the point. lot: where a challenger was in its canary."""

    point: str
    subject: str
    asked: int
    tier: str
    alone: bool
    audit: bool
    agreed: bool | None
    advised: bool
    seconds: float | None
    reward: float | None
    max_error: float
    lot: Lot | None


class Window(NamedTuple):
    """tiers: decisions by point and tier. decided: those that a policy was asked about, in the order of their
    answers."""

    tiers: Counter[tuple[str, str]]
    decided: list[Decided]


def window(
    store: Store,
    since: int,
    until: int,
    *,
    points: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
) -> Window:
    """Of what was answered with since <= time < until (ledger time, ns). points: only these; empty: all. Takes 0.2 ms
    for each decision that no rule answered."""
    tiers, found = Counter[tuple[str, str]](), dict[str, Decided]()
    for record in between(store, [Kind.ANSWERED], since, until, points=points, progress=progress):
        header = record.header
        if not of_case(header.kind, record.body):
            tiers[header.point, "rule"] += 1
            continue
        life = life_of(store.decision(header.decision))
        if life is None or life.answered is None or life.answered.attempt != header.attempt:
            continue  # it was asked again since
        tiers[header.point, life.answered.tier] += 1
        if life.scored is not None:
            found[header.decision] = _decided(record, life)
    return Window(tiers, list(found.values()))


def between(
    store: Store,
    kinds: Sequence[str],
    since: int,
    until: int,
    *,
    points: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
) -> Iterator[Record]:
    """Records with since <= time < until (ledger time, ns), found by bisection: time never goes back in the log."""
    total = store.head().size

    def time(seq: int) -> int:
        return next(store.read(after=seq, limit=1)).header.time

    first, last = (bisect_left(range(total), at, key=time) for at in (since, until))
    for number, record in enumerate(store.read(after=first, upto=last, kinds=kinds, points=points)):
        if number % _STEP == 0:
            progress(record.header.seq - first, last - first)
        yield record
    progress(last - first, last - first)


def _decided(record: Record, life: Life) -> Decided:
    header, asked, scored, answered = record.header, life.asked, life.scored, life.answered
    assert scored is not None
    assert answered is not None
    spoke = bool(scored.policy) and scored.choice is not None
    above = answered.tier in ABOVE
    return Decided(
        point=header.point,
        subject=header.subject,
        asked=asked.at,
        tier=answered.tier,
        alone=answered.tier == "policy",
        audit=scored.audit,
        agreed=answered.choice == scored.choice if above and spoke else None,
        advised=life.advised is not None and called(life.advised),
        seconds=(scored.at - asked.at) / SECOND if spoke else None,
        reward=None if life.outcome is None else life.outcome.reward,
        max_error=scored.max_error,
        lot=scored.lot,
    )


def called(advised: Advised) -> bool:
    """Whether an advisor was, whatever came of it."""
    return bool(advised.calls or advised.provider)
