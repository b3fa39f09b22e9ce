"""A report, read from the ledger."""

from collections.abc import Mapping

import msgspec

from federation.escalation import Escalation
from federation.ledger.store import Store
from federation.points import DecisionPoint
from federation.records import Advised, Kind, decode
from managers.uim.report.assess import Assessed, assess
from managers.uim.report.decided import Progress, between, window
from managers.uim.report.handling import handling
from managers.uim.report.intervals import Interval
from managers.uim.report.trainings import trainings
from managers.uim.report.worth import Figure, Prices, Spent, figures, tiers


class Gained(msgspec.Struct, frozen=True):
    """Of a champion that came in: what its decisions with a known reward brought more than as many before it would
    have, in the unit of the point, since it came."""

    point: str
    policy: str
    unit: str
    total: Interval
    decisions: int


class Report(msgspec.Struct, frozen=True):
    """since, until: ledger time (ns). tiers: decisions by who answered them."""

    since: int
    until: int
    tiers: Mapping[str, int]
    figures: list[Figure]
    gained: list[Gained]


def report(
    store: Store,
    points: Mapping[str, DecisionPoint],
    escalation: Escalation,
    since: int,
    until: int,
    prices: Prices,
    progress: Progress = lambda done, total: None,
) -> Report:
    """since <= time < until (ledger time, ns)."""
    seen = window(store, since, until, progress=progress)
    handled = handling(store, points, escalation, since, until, progress)
    trained = trainings(store, since, until)
    gained = [one for change in assess(store, points, until) if (one := _gained(change, since)) is not None]
    return Report(
        since, until, tiers(seen), figures(seen, handled, _spent(store, since, until), trained, prices), gained
    )


def _spent(store: Store, since: int, until: int) -> Spent:
    """What came too late was paid for, too."""
    said: list[Advised] = [decode(Kind.ADVISED, record.body) for record in between(store, [Kind.ADVISED], since, until)]
    tokens = sum(one.input_tokens + one.output_tokens for one in said)
    return Spent(sum(one.calls for one in said), tokens, tuple(one.cost for one in said if one.cost))


def _gained(change: Assessed, since: int) -> Gained | None:
    """None: its time as the champion was over by then, or too little is known."""
    reward = change.figures["reward"]
    if reward.difference is None or change.until < since:
        return None
    total = reward.difference.scaled(reward.known[1])
    return Gained(change.point, change.policy, change.unit, total, reward.known[1])
