"""How long people take over a case, from the record: from their word that it is theirs to their answer."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from federation.clock import SECOND
from federation.escalation import Escalation
from federation.ledger.store import Store
from federation.points import DecisionPoint
from federation.records import Answered, CaseWord, Entry, Kind, Record, decode, of_case
from managers.uim.cases.book import Book, BookState
from managers.uim.report.decided import Progress, between

_KINDS = (Kind.ASKED, Kind.SCORED, Kind.ADVISED, Kind.ANSWERED, Kind.CASE)


class Handling(NamedTuple):
    """cases: answered by people. groups: of alike cases that they were answered in. seconds: of each group of which
    somebody said beforehand that it is theirs, from then to the last answer."""

    cases: int
    groups: int
    seconds: list[float]


class _Group(msgspec.Struct):
    """claimed, answered: ledger time (ns); 0: not yet."""

    claimed: int = 0
    answered: int = 0
    cases: int = 0


def handling(
    store: Store,
    points: Mapping[str, DecisionPoint],
    escalation: Escalation,
    since: int,
    until: int,
    progress: Progress = lambda done, total: None,
) -> Handling:
    """Of cases that opened and were answered in this time (ledger time, ns), grouped as people saw them."""
    book = Book(BookState(), escalation, points)
    groups: dict[str, _Group] = {}
    for record in between(store, _KINDS, since, until, progress=progress):
        if of_case(record.header.kind, record.body):
            _fold(book, groups, record)
    done = [one for one in groups.values() if one.cases]
    seconds = [(one.answered - one.claimed) / SECOND for one in done if 0 < one.claimed <= one.answered]
    return Handling(sum(one.cases for one in done), len(done), seconds)


def _fold(book: Book, groups: dict[str, _Group], record: Record) -> None:
    header = record.header
    body = decode(header.kind, record.body)
    entry = Entry(header.kind, header.point, header.subject, header.decision, record.body, header.attempt)
    found = book.fold(entry, body)
    if found is None:
        return
    group = groups.setdefault(found.id, _Group())
    match body:
        case CaseWord(what="acknowledged"):
            group.claimed = group.claimed or header.time
        case CaseWord(what="assigned", to=to, by=by) if to == by:
            group.claimed = group.claimed or header.time
        case Answered(tier="operator"):
            group.cases += 1
            group.answered = header.time
