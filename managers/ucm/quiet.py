"""Quiet hours: when a message has to wait, and until when. Times are ledger time, ns."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from federation.clock import SECOND
from federation.sections import DAYS
from federation.targets import PRIORITIES, Quiet

_CHAINED = 16  # windows that follow one another without a gap; a week of them has no end, and is taken for a day or two


def quiet_until(hours: Sequence[Quiet], priority: int, now: int) -> int | None:
    """When the quiet hours that hold a message of this priority end; None: none does. priority: index of PRIORITIES."""
    mine = [one for one in hours if priority < PRIORITIES.index(one.passes)]
    until = None
    for _ in range(_CHAINED):
        ends = [end for one in mine if (end := _end(one, until or now)) is not None]
        if not ends:
            break
        until = max(ends)
    return until


def first_chance(hours: Sequence[Quiet], priority: int, accepted: int) -> int:
    """When a message that was accepted then could be sent for the first time."""
    return quiet_until(hours, priority, accepted) or accepted


def _end(quiet: Quiet, at: int) -> int | None:
    """When these hours end, if they are on."""
    zone = ZoneInfo(quiet.timezone)
    today = datetime.fromtimestamp(at // SECOND, UTC).astimezone(zone).date()
    over_night = quiet.ends <= quiet.begins
    for day in (today - timedelta(days=1), today):
        if DAYS[day.weekday()] not in quiet.days:
            continue
        begin = datetime.combine(day, quiet.begins, zone)
        end = datetime.combine(day + timedelta(days=over_night), quiet.ends, zone)
        # By their timestamps: of two times in one zone Python compares the clocks on the wall, which jump twice a year.
        if _ns(begin) <= at < _ns(end):
            return _ns(end)
    return None


def _ns(moment: datetime) -> int:
    return round(moment.timestamp()) * SECOND
