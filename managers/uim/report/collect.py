"""A report, read from the ledger."""

from collections.abc import Mapping

import msgspec

from federation.escalation import Escalation
from federation.ledger.store import Store
from federation.points import DecisionPoint
from federation.records import Advised, Kind, decode
from managers.uim.report.decided import Progress, between, called, window
from managers.uim.report.gained import Gained, gained
from managers.uim.report.handling import handling
from managers.uim.report.trainings import trainings
from managers.uim.report.worth import Figure, Prices, Spent, figures, tiers


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
    told = figures(seen, handled, spent(store, since, until), trained, prices)
    champions = gained(store, points, since, until, seen.decided, progress)
    return Report(since, until, tiers(seen), told, champions)


def spent(store: Store, since: int, until: int) -> Spent:
    """since <= time < until (ledger time, ns). What came too late was paid for, too."""
    said: list[Advised] = [decode(Kind.ADVISED, record.body) for record in between(store, [Kind.ADVISED], since, until)]
    tokens = sum(one.input_tokens + one.output_tokens for one in said)
    return Spent(sum(one.calls for one in said), tokens, tuple(one.cost for one in said if called(one)))
