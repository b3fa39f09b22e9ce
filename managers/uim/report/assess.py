"""Whether a promotion kept its promise: what the champion of a point was expected to gain, and what came.

Before and after are two times and not two arms, so what moved the world between them is in the difference as well; the
canary before the promotion was drawn by lot and has no such doubt, but is shorter. docs/policy/tournament.md says how
to read both.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple

import msgspec

from federation.clock import DAY
from federation.errors import Refused
from federation.ledger.store import Store
from federation.points import DecisionPoint
from federation.policy.arms import unit_of
from federation.policy.promotions import Estimate, Promotion, Registered
from federation.policy.registry import Line, Stage, after
from federation.policy.tier import CHAMPION
from federation.records import Kind, decode
from managers.uim.report.decided import Decided, Progress, between, window
from managers.uim.report.intervals import Interval, Sums, difference, median, overall

FIGURES = ("reward", "escalated", "overridden")
"""The mean reward of a decision; the share that the policy did not decide alone; of those that somebody above it
answered, the share that was decided otherwise."""


class Verdict(StrEnum):
    KEPT = "kept its promise"
    BROKEN = "did not keep its promise"
    OPEN = "cannot tell yet"


class Change(msgspec.Struct, frozen=True):
    """before, after: means; None where nothing is known. difference: after less before; None: too little is known.
    known: decisions that tell of it, before and after."""

    before: float | None
    after: float | None
    difference: Interval | None
    known: tuple[int, int]


class Assessed(msgspec.Struct, frozen=True):
    """One promotion. at, until: ledger time (ns) from which, and up to which, it is the champion. by: who promoted it;
    decision: of ulm.promotion, empty for a person's word. expected: the estimate that it came with; None: none. gain:
    what came, in percent of the mean reward before. decisions: before and after. figures: by name, of FIGURES; seconds:
    median of a score, before and after."""

    point: str
    policy: str
    at: int
    until: int
    by: str
    decision: str
    unit: str
    expected: Estimate | None
    gain: Interval | None
    decisions: tuple[int, int]
    figures: dict[str, Change]
    seconds: tuple[float | None, float | None]
    verdict: Verdict
    why: str


class Reign(NamedTuple):
    """Of a champion that was promoted. expected: as it was registered last before that; None: without an estimate.
    begins: when the one before it came to the point, ends: when it went itself, or now; both ledger time (ns)."""

    point: str
    made: Promotion
    expected: Estimate | None
    begins: int
    ends: int


def assess(
    store: Store,
    points: Mapping[str, DecisionPoint],
    now: int,
    *,
    days: int = 30,
    progress: Progress = lambda done, total: None,
) -> list[Assessed]:
    """Every promotion on record, the newest first. now: ledger time (ns). days: before and after it, at most."""
    found = []
    every = [one for one in reigns(store, now) if one.point in points]
    for number, one in enumerate(every):
        progress(number, len(every))
        first, last = max(one.begins, one.made.at - days * DAY), min(one.ends, one.made.at + days * DAY)
        found.append(assessed(points[one.point], one, window(store, first, last, points=[one.point]).decided))
    progress(len(every), len(every))
    return sorted(found, key=lambda one: one.at, reverse=True)


def assessed(point: DecisionPoint, reign: Reign, seen: Sequence[Decided]) -> Assessed:
    """seen: decisions of the point."""
    sides = _sides(reign, seen)
    figures = {name: _change(point, reign, name, sides) for name in FIGURES}
    gain = _share(figures["reward"])
    verdict, why = judged(reign.expected, gain)
    return Assessed(
        point=point.name,
        policy=reign.made.challenger,
        at=reign.made.at,
        until=reign.ends,
        by=reign.made.by,
        decision=reign.made.decision,
        unit=point.outcome.unit,
        expected=reign.expected,
        gain=gain,
        decisions=(len(sides[0]), len(sides[1])),
        figures=figures,
        seconds=(_median(sides[0]), _median(sides[1])),
        verdict=verdict,
        why=why,
    )


def rewarded(point: DecisionPoint, reign: Reign, seen: Sequence[Decided]) -> Change:
    """What became of the mean reward. seen: as of `assessed`."""
    return _change(point, reign, "reward", _sides(reign, seen))


def judged(expected: Estimate | None, gain: Interval | None) -> tuple[Verdict, str]:
    """A promise is the lower end of the estimate, and without one of the reward that nothing gets worse. It is kept
    where something was gained for certain and what was promised may be; it is not where what was promised cannot be."""
    if expected is not None and expected.of != "reward":
        expected = None
    promised = 0.0 if expected is None else max(expected.low, 0.0)
    said = f"{promised:.1f} % were promised" if expected is not None else "nothing was promised but to do no harm"
    if gain is None:
        return Verdict.OPEN, f"{said}; too few decisions have a reward on both sides"
    came = f"{said}, {gain.lower:+.1f} to {gain.upper:+.1f} % came"
    if gain.upper < promised:
        return Verdict.BROKEN, came
    if gain.lower > 0 or (expected is None and gain.lower >= 0):
        return Verdict.KEPT, came
    return Verdict.OPEN, came


def reigns(store: Store, now: int) -> Iterator[Reign]:
    """Of the champions that were promoted by now (ledger time, ns), as every manager folds it."""
    lines: dict[str, Line] = {}
    begun: dict[str, int] = {}
    running: dict[str, Reign] = {}
    promises: dict[tuple[str, str], Estimate] = {}
    for record in between(store, [Kind.POLICY, Kind.PROMOTION], 0, now + 1):
        body: Registered | Promotion = decode(record.header.kind, record.body)
        if isinstance(body, Registered):
            promises |= {(point, body.policy): estimate for point, estimate in body.estimates.items()}
            continue
        point, made = record.header.point, body
        before = lines.get(point, Line())
        with suppress(Refused):
            lines[point] = after(before, made)
        if lines.get(point, before).champion == before.champion:
            continue
        if point in running:
            yield running.pop(point)._replace(ends=made.at)
        if made.stage == Stage.CHAMPION:
            expected = promises.get((point, made.challenger))
            running[point] = Reign(point, made, expected, begun.get(point, 0), now)
        begun[point] = made.at
    yield from running.values()


def _sides(reign: Reign, seen: Sequence[Decided]) -> tuple[list[Decided], list[Decided]]:
    """Before and after. Decisions that fell to a challenger on trial are left out: the champion did not make them."""
    own = [one for one in seen if one.lot is None or one.lot.arm == CHAMPION]
    before = [one for one in own if reign.begins <= one.asked < reign.made.at]
    return before, [one for one in own if reign.made.at <= one.asked < reign.ends]


def _change(point: DecisionPoint, reign: Reign, name: str, sides: tuple[list[Decided], list[Decided]]) -> Change:
    before, then = (_units(point, name, side, reign.made.block) for side in sides)
    known = sum(one.times for one in before.values()), sum(one.times for one in then.values())
    return Change(overall(before), overall(then), difference(before, then), known)


def _units(point: DecisionPoint, name: str, decided: Sequence[Decided], block: int) -> dict[str, Sums]:
    """Observations by unit, as the canary of the trial counted them. block: length of its blocks of time, ns."""
    found: dict[str, Sums] = {}
    for one in decided:
        value = _value(name, one)
        if value is not None:
            unit = unit_of(point, one.subject, one.asked, block)
            found[unit] = found.get(unit, Sums(0.0, 0)).plus(value)
    return found


def _value(name: str, one: Decided) -> float | None:
    """None: it tells nothing of this figure. A check of a sure answer is no escalation."""
    match name:
        case "reward":
            return one.reward
        case "escalated":
            return None if one.audit else float(not one.alone)
        case _:
            return None if one.agreed is None else float(not one.agreed)


def _share(change: Change) -> Interval | None:
    """In percent of what was before; None: that was nothing, of which no share can be taken."""
    if change.difference is None or not change.before:
        return None
    return change.difference.scaled(100 / abs(change.before))


def _median(decided: Sequence[Decided]) -> float | None:
    found = median([one.seconds for one in decided if one.seconds is not None])
    return None if found is None else found.value
