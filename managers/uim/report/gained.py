"""What champions brought in the time of a report."""

from collections.abc import Mapping, Sequence

import msgspec

from federation.ledger.store import Store
from federation.points import DecisionPoint
from managers.uim.report.assess import reigns, rewarded
from managers.uim.report.decided import Decided, Progress, window
from managers.uim.report.intervals import Interval


class Gained(msgspec.Struct, frozen=True):
    """Of a promoted champion: what its decisions with a known reward brought more than as many before it would have, in
    the unit of the point."""

    point: str
    policy: str
    unit: str
    total: Interval
    decisions: int


def gained(
    store: Store,
    points: Mapping[str, DecisionPoint],
    since: int,
    until: int,
    seen: Sequence[Decided],
    progress: Progress = lambda done, total: None,
) -> list[Gained]:
    """Of each that was the champion in this time (ledger time, ns) and of which enough is known, the newest first.
    seen: what was decided in it. What was before a champion is looked for as far before it as the report is long."""
    found = []
    for one in sorted(reigns(store, until), key=lambda one: one.made.at, reverse=True):
        if one.point not in points or one.ends <= since:
            continue
        first = max(one.begins, one.made.at - (until - since))
        last = max(first, min(one.made.at, since))  # what is later was seen
        earlier = window(store, first, last, points=[one.point], progress=progress).decided
        point = points[one.point]
        change = rewarded(point, one, [*earlier, *(decided for decided in seen if decided.point == one.point)])
        if change.difference is not None:
            count = change.known[1]
            total = change.difference.scaled(count)
            found.append(Gained(one.point, one.made.challenger, point.outcome.unit, total, count))
    return found
