"""Who is on call when: layers of rotations and the overrides before them, in the local time of a schedule. Pure.

Times go in and out as ledger times (ns since 1970). A handover that local time passes twice, as when clocks are put
back, is at the first passing; one that local time skips is as much later as the clocks are put forward (PEP 495).
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from federation.clock import SECOND
from federation.escalation import Layer, Schedule, Stand
from federation.sections import DAYS

DAY = 86_400.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Shift(NamedTuple):
    """From `starts` until `ends` that person is on call; empty: nobody."""

    starts: int
    ends: int
    person: str


def on_call(schedule: Schedule, at: int) -> str:
    """Who is on call; empty: nobody."""
    zone = ZoneInfo(schedule.timezone)
    for stand in reversed(schedule.overrides):
        if _instant(stand.starts, zone) <= at < _instant(stand.ends, zone):
            return stand.person
    for layer in reversed(schedule.layers):
        if _begins(layer, zone, 0) <= at and _in_hours(layer, zone, at):
            return layer.people[_turn(layer, zone, at) % len(layer.people)]
    return ""


def shifts(schedule: Schedule, starts: int, ends: int) -> list[Shift]:
    """Who is on call from `starts` until `ends`, without gaps; neighbours differ."""
    zone = ZoneInfo(schedule.timezone)
    edges = {edge for stand in schedule.overrides for edge in _edges_of(stand, zone)}
    for layer in schedule.layers:
        edges.update(_handovers(layer, zone, starts, ends))
        edges.update(_hours(layer, zone, starts, ends))
    found: list[Shift] = []
    inner = sorted(edge for edge in edges if starts < edge < ends)
    for begin, end in zip([starts, *inner], [*inner, ends], strict=True):
        person = on_call(schedule, begin)
        if found and found[-1].person == person:
            found[-1] = found[-1]._replace(ends=end)
        else:
            found.append(Shift(begin, end, person))
    return found


# -- turns ----------------------------------------------------------------------------------------------------------


def _begins(layer: Layer, zone: ZoneInfo, turn: int) -> int:
    """When a turn begins: turns of whole days by the clock on the wall, others by time that has passed."""
    if layer.rotate % DAY == 0:
        return _instant(layer.starts + timedelta(seconds=turn * layer.rotate), zone)
    return _instant(layer.starts, zone) + turn * round(layer.rotate * SECOND)


def _turn(layer: Layer, zone: ZoneInfo, at: int) -> int:
    turn = (at - _begins(layer, zone, 0)) // round(layer.rotate * SECOND)
    while _begins(layer, zone, turn) > at:
        turn -= 1
    while _begins(layer, zone, turn + 1) <= at:
        turn += 1
    return turn


def _handovers(layer: Layer, zone: ZoneInfo, starts: int, ends: int) -> Iterator[int]:
    turn = max(0, _turn(layer, zone, starts))
    while (begins := _begins(layer, zone, turn)) < ends:
        yield begins
        turn += 1


# -- hours ----------------------------------------------------------------------------------------------------------


def _in_hours(layer: Layer, zone: ZoneInfo, at: int) -> bool:
    today = _local(at, zone).date()
    return any(begins <= at < ends for begins, ends in _stretches(layer, zone, today - timedelta(days=1), today))


def _hours(layer: Layer, zone: ZoneInfo, starts: int, ends: int) -> Iterator[int]:
    first = _local(starts, zone).date() - timedelta(days=1)
    for stretch in _stretches(layer, zone, first, _local(ends, zone).date()):
        yield from stretch


def _stretches(layer: Layer, zone: ZoneInfo, first: date, last: date) -> Iterator[tuple[int, int]]:
    """When the hours of the layer begin and end that begin on one of these days."""
    overnight = timedelta(days=layer.closes <= layer.opens)
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if DAYS[day.weekday()] in layer.days:
            ends = datetime.combine(day + overnight, layer.closes)
            yield _instant(datetime.combine(day, layer.opens), zone), _instant(ends, zone)


# -- local time -----------------------------------------------------------------------------------------------------


def _edges_of(stand: Stand, zone: ZoneInfo) -> tuple[int, int]:
    return _instant(stand.starts, zone), _instant(stand.ends, zone)


def _instant(local: datetime, zone: ZoneInfo) -> int:
    return (local.replace(tzinfo=zone) - _EPOCH) // timedelta(microseconds=1) * 1000


def _local(at: int, zone: ZoneInfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=at // 1000)).astimezone(zone)
