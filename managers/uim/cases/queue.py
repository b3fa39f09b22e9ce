"""The queue: groups that have open cases, in the order in which people should look at them."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from federation.errors import Refused
from managers.uim.cases.case import Group
from managers.uim.cases.priority import RANK


class Wanted(NamedTuple):
    """Which groups; empty: any. state: `open` (awake), `snoozed`, or empty for both. after: `next` of the page
    before."""

    manager: str = ""
    point: str = ""
    priority: str = ""
    holder: str = ""
    state: str = ""
    after: str = ""
    limit: int = 50

    def fits(self, group: Group) -> bool:
        return (
            self.manager in ("", group.manager)
            and self.point in ("", group.point)
            and self.priority in ("", group.priority)
            and self.holder in ("", group.holder)
            and self.state in ("", "snoozed" if group.snoozed else "open")
        )


class Page(NamedTuple):
    """The most urgent first, of these the oldest. next: the `after` of the next page; empty: there is none."""

    groups: list[Group]
    next: str = ""


@dataclass(frozen=True)
class Counts:
    """Of what is open. cases, groups: how many. overdue, unclaimed, snoozed: groups. by_priority, by_manager: cases."""

    cases: int
    groups: int
    unclaimed: int
    overdue: int
    snoozed: int
    by_priority: dict[str, int]
    by_manager: dict[str, int]


_Place = tuple[int, int, str]  # where a group stands: rank, opened, id


class Queue:
    """groups: by id, also those without an open case. A cursor stays good while groups come and go."""

    def __init__(self, groups: Mapping[str, Group]) -> None:
        self._groups = groups
        self._places = sorted(_place(group) for group in groups.values() if group.cases)

    def __iter__(self) -> Iterator[Group]:
        return (self._groups[id] for *_, id in self._places)

    def after(self, cursor: str) -> Iterator[Group]:
        """Those behind the one that the cursor names; empty: all. Raises Refused: it is no cursor."""
        return self._from(bisect_right(self._places, _place_of(cursor)) if cursor else 0)

    def at(self, cursor: str) -> Iterator[Group]:
        """The same, with the one that it names."""
        return self._from(bisect_left(self._places, _place_of(cursor)) if cursor else 0)

    def enter(self, group: Group) -> None:
        insort(self._places, _place(group))

    def leave(self, group: Group) -> None:
        """For now or for good; before its place changes."""
        at = bisect_left(self._places, _place(group))
        if at < len(self._places) and self._places[at] == _place(group):
            del self._places[at]

    def _from(self, start: int) -> Iterator[Group]:
        return (self._groups[self._places[at][2]] for at in range(start, len(self._places)))


def cursor_of(group: Group) -> str:
    return " ".join(map(str, _place(group)))


def position(cursor: str) -> tuple[int, str]:
    """Of a case within its group: opened, id. Raises Refused."""
    opened, _, id = cursor.partition(" ")
    return _number(opened), id


def _place(group: Group) -> _Place:
    return RANK[group.priority], group.opened, group.id


def _place_of(cursor: str) -> _Place:
    rank, _, rest = cursor.partition(" ")
    return _number(rank), *position(rest)


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 20:
        raise Refused("bad-cursor", "this is no place in the queue", place="after", cure="send `next` as it came")
    return int(text)
